"""Every way in which the stack starts an engine: the command, the arguments, the environment and the probe of what its
chart, its operator and its manifests were rendered to.
"""

from __future__ import annotations

import json

import pytest

from tests.image.podman import IMAGE, STAND_IN, Probes, container, podman
from tests.server import ROOT

RENDERED = json.loads((ROOT / "tests/fixtures/stack_commands.json").read_text())
# By the end of their names: three of the chart, one of the operator, one of a manifest, and `docker run`.
STARTED = (
    "tutorials/assets/values-01-2pods-minimal-example.yaml",
    "values-05-cpu-offloading.yaml",
    "values-23-SR.yaml",
    "vllmruntime.yaml",
    "prefill-deploy.yaml",
)
A_MODEL = f"{ROOT}/tests/fixtures"  # any folder: the stand-in reads none


def rendered(name: str) -> tuple[list[str], dict[str, str]]:
    found = next(one for one in RENDERED if name in one["source"])
    assert found["refused"] is None
    return found["words"], {key: value.replace("<", "").replace(">", "") for key, value in found["env"].items()}


def folders(words: list[str]) -> list[str]:
    return [f"{A_MODEL}:{word}:ro" for word in words if word.startswith("/var/")]


@pytest.mark.parametrize("name", STARTED)
def test_what_the_stack_renders_serves_and_every_probe_is_answered_in_time(name: str) -> None:
    words, env = rendered(name)
    env["STANDIN_LOAD_SECONDS"] = "2"
    # Kubernetes' `command`; of the operator `vllm serve` alone, and the rest as `args`.
    split = 2 if "vllmruntime" in name else len(words)
    with (
        container(*words[split:], command=words[:split], env=env, volumes=[*STAND_IN, *folders(words)]) as one,
        Probes(one.url) as probes,
    ):
        one.wait_ready()
        [model, *_] = one.ask("GET", "/v1/models").json()["data"]
        assert one.chat(model["id"])
    answered = probes.seen[next(at for at, status in enumerate(probes.seen) if status) :]
    assert set(answered) == {503, 200}
    assert answered == sorted(answered, reverse=True)  # never back, and never a refusal


def test_bare_arguments_are_vllm_serves() -> None:
    with container("Qwen/Qwen3-8B", "--port", "8123", "--served-model-name", "a", "b", port=8123) as one:
        one.wait_ready()
        assert [model["id"] for model in one.ask("GET", "/v1/models").json()["data"]] == ["a", "b"]


def test_what_cannot_be_honoured_ends_the_container_with_a_sentence() -> None:
    found = next(one for one in RENDERED if one["refused"])
    program, *words = found["words"]
    end = podman(
        "run", "--rm", "--network", "none", "--pull=never", "--entrypoint", program, IMAGE, *words, check=False
    )
    assert end.returncode == 2
    assert end.stderr.strip().splitlines()[-1].startswith(f"vllm: error: {found['refused']}")


def test_a_base_without_sglang_says_so() -> None:
    with container("m", volumes=[]) as one:
        assert one.wait_end() == 1
        assert "SGLang is not installed for /usr/bin/python3" in one.output
