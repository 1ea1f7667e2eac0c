"""The real SGLang in the image, with the words that the production stack's chart and operator were rendered to: the
checkout's engine for the CPU is mounted, and its small model stands for every model that the stack names.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.image.podman import Container, container
from tests.image.test_starts import rendered
from tests.server import ROOT

VENV = ROOT / ".venv-engine"
MODEL = ROOT / ".engine/SmolLM2-135M-Instruct"
LOAD_SECONDS = 300.0
REVISION = "a" * 40
# One of the chart and one of the operator; with FULL=1 also the chart's model in a folder and its absolute path of the
# binary: a start of the real engine takes a minute here.
STARTED = ("tutorials/assets/values-01-2pods-minimal-example.yaml", "vllmruntime_autoscaling.yaml")
MORE = ("llm-stack/helm/gpu/gpu-tinyllama", "values-23-SR.yaml")


def python() -> Path:
    """The one that the engine's environment was made of, with its library."""
    lines = (line.partition(" = ") for line in (VENV / "pyvenv.cfg").read_text().splitlines())
    return Path({name: value for name, _, value in lines}["home"]).parent


def mounts(folder: Path, words: list[str], hub: str) -> list[str]:
    """The engine where it is here, and the model where the command line's model would be."""
    model = words[words.index("serve") + 1]
    engine = [f"{one}:{one}:ro" for one in (VENV, ROOT / "cpu_engine", python()) if one != Path("/usr")]
    if model.startswith("/"):
        return [*engine, f"{MODEL}:{model}:ro"]
    (folder / "main").write_text(REVISION)
    there = f"{hub}/hub/models--{model.replace('/', '--')}"
    return [*engine, f"{folder}/main:{there}/refs/main:ro", f"{MODEL}:{there}/snapshots/{REVISION}:ro"]


@contextmanager
def started(folder: Path, name: str) -> Iterator[Container]:
    words, env = rendered(name)
    env["VLLM_SHIM_ENGINE"] = f"{ROOT}/cpu_engine/launch"
    volumes = mounts(folder, words, env.get("HF_HOME", "/root/.cache/huggingface"))
    split = 2 if "vllmruntime" in name else len(words)
    with container(*words[split:], command=words[:split], env=env, volumes=volumes) as one:
        one.wait_ready(LOAD_SECONDS)
        yield one


@pytest.mark.parametrize("name", [*STARTED, *(MORE if os.environ.get("FULL") else ())])
def test_what_the_stack_renders_answers_a_chat(name: str, tmp_path: Path) -> None:
    if not MODEL.is_dir():
        pytest.fail("the CPU engine is not installed: run `make engine`")
    with started(tmp_path, name) as one:
        [model, *_] = one.ask("GET", "/v1/models").json()["data"]
        assert len(one.chat(model["id"]).split()) > 1
        assert one.stop() == 0
