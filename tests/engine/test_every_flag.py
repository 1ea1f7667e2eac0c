"""What our translation hands to SGLang is what SGLang 0.5.23's own parser understands: no prefix accident, no value
read as another, for every flag of vLLM's catalog and for the production stack's command lines.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from shims import cli, plan
from shims.exceptions import Refused
from shims.facts import Facts
from shims.flags import TABLE
from shims.plan import Plan
from tests.engine.conftest import MODEL
from tests.server import ROOT
from tests.shims.flag_samples import every_sample
from tests.stack_commands import COMMANDS

PYTHON = Path(os.environ.get("VLLM_SHIM_ENGINE_VENV", ROOT / ".venv-engine")) / "bin/python"


def planned(words: Sequence[str], env: Mapping[str, str] | None = None, facts: Facts | None = None) -> Plan | None:
    """None for what is refused."""
    try:
        return plan.make(cli.from_words(words), env or {}, facts or Facts())
    except Refused:
        return None


def asked(script: str, cases: Sequence[Any]) -> list[Any]:
    """The answers of a script beside this file, run by the engine's Python: one JSON line a case."""
    done = subprocess.run(
        [PYTHON, Path(__file__).with_name(script)],
        input="".join(json.dumps(case) + "\n" for case in cases),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
        text=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def judged(plans: Sequence[Plan]) -> list[dict[str, Any]]:
    """What SGLang's parser says of each plan's engine."""
    return asked(
        "sglang_parser.py", [engine.argv[len(one.settings.engine) :] for one in plans for engine in one.engines]
    )


UNDERSTOOD = {"error": "", "inexact": [], "wrong": [], "stray": []}


def misunderstood(plans: Mapping[str, Plan]) -> dict[str, Any]:
    answers = dict(zip(plans, judged(list(plans.values())), strict=True))
    return {name: answer for name, answer in answers.items() if answer != UNDERSTOOD}


@pytest.mark.engine
def test_sglangs_own_parser_understands_every_flag_as_it_was_meant() -> None:
    cases = {" ".join(words): planned(("serve", "org/model", *words)) for words in every_sample()}
    plans = {words: one for words, one in cases.items() if one is not None}
    assert len(plans) > len(TABLE)
    assert misunderstood(plans) == {}


@pytest.mark.engine
def test_sglangs_own_parser_understands_every_command_line_of_the_production_stack() -> None:
    plans: dict[str, Plan] = {}
    for command in COMMANDS:
        one = planned(command.words, command.env)
        assert (one is None) == (command.refused is not None), command.source
        if one is not None:
            plans[command.source] = one
    assert misunderstood(plans) == {}


# What SGLang's resolution cannot know on this machine: the words of its objection, by the words that were given.
NOT_HERE = {
    "--max-model-len 32K": "greater than the derived context_length",
    "--quantization nvfp4_per_token": "NVIDIA Blackwell",
    "--config-format mistral": "params.json",
    "--mamba-backend flashinfer": "FlashInfer mamba module not available",
    "--enable-mamba-cache-stochastic-rounding": "CUDA",
    "--kv-cache-dtype nvfp4": "torch_native",
    "--language-model-only": "does not support ['LlamaForCausalLM']",
    "--moe-backend deep_gemm_mega_moe": "needs a CUDA",
    "--moe-backend flashinfer_cutedsl": "Invalid quantization 'None'",
    "--device hpu": "hl-smi",
    "--device xpu": "No GPU memory",
    "org/draft": "couldn't connect to 'https://huggingface.co'",
}


@pytest.mark.engine
def test_sglangs_own_resolution_objects_to_nothing_but_this_machine() -> None:
    config = json.loads((MODEL / "config.json").read_text())
    plans = {
        " ".join(words): one
        for words in every_sample()
        if (one := planned(("serve", str(MODEL), *words), facts=Facts(model_config=config))) is not None
    }
    cases = [
        {"argv": one.engines[0].argv[len(one.settings.engine) :], "env": dict(one.engines[0].env)}
        for one in plans.values()
    ]
    answers = dict(zip(plans, asked("sglang_resolution.py", cases), strict=True))
    objections = {words: said for words, said in answers.items() if said}
    unforeseen = {
        words: said
        for words, said in objections.items()
        if not any(given in words and because in said for given, because in NOT_HERE.items())
    }
    assert unforeseen == {}
