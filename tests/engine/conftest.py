"""The real SGLang 0.5.23 on this CPU behind the whole stack, started once for all tests here (`make engine` first)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.server import ROOT, Server, serving

MODEL = ROOT / ".engine/SmolLM2-135M-Instruct"
LAUNCH = str(ROOT / "cpu_engine/launch")
LOAD_SECONDS = 300.0
NAME = "smollm2-135m"
KEY = "s3cret-key"  # of the environment, as the chart gives it; every request of `client` carries it


@pytest.fixture(scope="package")
def sglang(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if not MODEL.is_dir():
        pytest.fail("the CPU engine is not installed: run `make engine`")
    folder = tmp_path_factory.mktemp("engine")
    words = (str(MODEL), "--served-model-name", NAME, "--max-model-len", "2048", "--max-num-seqs", "8")
    env = {"VLLM_SHIM_ENGINE_ARGS": "--max-total-tokens 4096", "VLLM_API_KEY": KEY}
    with serving(folder, *words, engine=LAUNCH, env=env) as server:
        server.client.headers["authorization"] = f"Bearer {KEY}"
        server.wait_ready(LOAD_SECONDS)
        yield server
