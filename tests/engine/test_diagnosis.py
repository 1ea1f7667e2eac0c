"""The table of causes against the engine itself: each text stands where its record says, and real starts that cannot
succeed are understood.
"""

from __future__ import annotations

import argparse
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from supervision.causes import CAUSES, Sign
from supervision.diagnosis import diagnose
from tests.engine.conftest import LAUNCH, LOAD_SECONDS, MODEL
from tests.server import ROOT, free_port

pytestmark = pytest.mark.engine
SIGNS = [sign for cause in CAUSES for sign in cause.signs if not sign.source.startswith("compiled: ")]


@pytest.mark.parametrize("sign", SIGNS, ids=lambda sign: f"{sign.source}: {sign.text.decode()}")
def test_each_sign_stands_in_the_source_that_it_names(sign: Sign) -> None:
    (packages,) = ROOT.glob(".venv-engine/lib/python3*/site-packages")
    file = Path(argparse.__file__) if sign.source == "argparse.py" else packages / sign.source
    assert sign.text in file.read_bytes()


def started(words: Sequence[str], env: Mapping[str, str] | None = None) -> tuple[bytes, int]:
    done = subprocess.run(
        [LAUNCH, "--host", "127.0.0.1", "--port", str(free_port()), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=LOAD_SECONDS,
        check=False,
        env={**os.environ, **(env or {})},
    )
    return done.stdout, done.returncode


@pytest.mark.parametrize(
    ("words", "env", "name"),
    [
        (["--model-path", str(MODEL), "--nope"], {}, "bad flag"),
        (["--model-path", "/no/such/folder"], {}, "model not found"),
        (["--model-path", "no/such-model"], {"HF_HUB_OFFLINE": "1"}, "model not in the cache"),
        (["--model-path", str(MODEL), "--context-length", "999999"], {}, "context too long"),
        pytest.param(["--model-path", str(MODEL), "--quantization", "awq"], {}, "quantization", marks=pytest.mark.soak),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_start_that_cannot_succeed_is_understood(words: list[str], env: dict[str, str], name: str) -> None:
    text, code = started(words, env)
    found = diagnose(text, code if code >= 0 else None)
    assert found is not None, text.decode(errors="replace")
    assert found.cause.name == name


@pytest.mark.parametrize(
    ("without", "architecture", "name"),
    [
        ("config.json", None, "no whole model"),
        # SGLang takes half a minute to end of these.
        pytest.param("model.safetensors", None, "no whole model", marks=pytest.mark.soak),
        pytest.param("", "NoSuchForCausalLM", "unknown architecture", marks=pytest.mark.soak),
    ],
)
def test_a_folder_that_is_no_model_is_understood(
    without: str, architecture: str | None, name: str, tmp_path: Path
) -> None:
    for file in MODEL.iterdir():
        if file.is_file() and file.name != without:
            (tmp_path / file.name).symlink_to(file)
    if architecture:
        config = (MODEL / "config.json").read_text().replace("LlamaForCausalLM", architecture)
        (tmp_path / "config.json").unlink()
        (tmp_path / "config.json").write_text(config)
    text, code = started(["--model-path", str(tmp_path)])
    found = diagnose(text, code if code >= 0 else None)
    assert found is not None, text.decode(errors="replace")
    assert found.cause.name == name
