"""The real SGLang 0.5.23 on this CPU behind the whole stack, started once for all tests here, and once more for those
that want vectors (`make engine` first).
"""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import openai
import pytest

from tests.server import ROOT, Server, serving

MODEL = ROOT / ".engine/SmolLM2-135M-Instruct"
LAUNCH = str(ROOT / "cpu_engine/launch")
LOAD_SECONDS = 300.0
NAME = "smollm2-135m"
TEMPLATE = ROOT / "tests/differential/tools.jinja"  # the model's own, with a place for tools
KEY = "s3cret-key"  # of the environment, as the chart gives it; every request of `client` carries it


@pytest.fixture(scope="package")
def sglang(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if not MODEL.is_dir():
        pytest.fail("the CPU engine is not installed: run `make engine`")
    folder = tmp_path_factory.mktemp("engine")
    words: tuple[str, ...] = (str(MODEL), "--served-model-name", NAME, "--max-model-len", "2048", "--max-num-seqs", "8")
    words += ("--enable-auto-tool-choice", "--tool-call-parser", "hermes", "--chat-template", str(TEMPLATE))
    words += ("--enable-scale-out",)
    env = {"VLLM_SHIM_ENGINE_ARGS": "--max-total-tokens 4096", "VLLM_API_KEY": KEY, "VLLM_SHIM_RL": "1"}
    with serving(folder, *words, engine=LAUNCH, env=env) as server:
        server.client.headers["authorization"] = f"Bearer {KEY}"
        server.wait_ready(LOAD_SECONDS)
        yield server


@pytest.fixture(scope="module")
def client(sglang: Server) -> Iterator[openai.OpenAI]:
    """OpenAI's own, without its retries: a test sees the first answer."""
    with openai.OpenAI(base_url=f"{sglang.url}/v1", api_key=KEY, max_retries=0) as one:
        yield one


def running(server: Server) -> int:
    """From SGLang itself: its metrics are refreshed only every 10 decode steps."""
    loads = httpx.get(f"http://127.0.0.1:{server.port + 1}/v1/loads", trust_env=False).json()["loads"]
    return sum(load["num_running_reqs"] for load in loads)
