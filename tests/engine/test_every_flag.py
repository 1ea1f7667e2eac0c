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
from tests.server import ROOT
from tests.shims.flag_samples import every_sample
from tests.stack_commands import COMMANDS

PYTHON = Path(os.environ.get("VLLM_SHIM_ENGINE_VENV", ROOT / ".venv-engine")) / "bin/python"


def planned(words: Sequence[str], env: Mapping[str, str] | None = None) -> Plan | None:
    """None for what is refused."""
    try:
        return plan.make(cli.from_words(words), env or {}, Facts())
    except Refused:
        return None


def judged(plans: Sequence[Plan]) -> list[dict[str, Any]]:
    """What SGLang's parser says of each plan's engine."""
    argvs = [engine.argv[len(one.settings.engine) :] for one in plans for engine in one.engines]
    done = subprocess.run(
        [PYTHON, Path(__file__).with_name("sglang_parser.py")],
        input="".join(json.dumps(argv) + "\n" for argv in argvs),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
        text=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


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
