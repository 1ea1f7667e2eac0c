"""Records /metrics of the real SGLang as the stack starts it, after the load that vllm_metrics.txt was recorded with:

    .venv/bin/python -m tests.middleware.metrics.record     # writes tests/fakes/recordings/metrics_whole.txt

Without the adapter's one request: 10 chats that stop, 4 streams and 2 completions with n=2 that end by length, 3
requests that are refused, and one stream that its client leaves.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from tests.engine.conftest import LAUNCH, LOAD_SECONDS, MODEL, NAME
from tests.server import ROOT, Server, serving

RECORDED = ROOT / "tests/fakes/recordings/metrics_whole.txt"
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
CHAT: dict[str, Any] = {"model": NAME, "messages": QUESTION, "temperature": 0, "max_tokens": 40}


def load(server: Server) -> None:
    chats, completions = "/v1/chat/completions", "/v1/completions"
    for _ in range(10):
        server.client.post(chats, json=CHAT).raise_for_status()
    for _ in range(4):
        server.client.post(chats, json={**CHAT, "max_tokens": 3, "stream": True}).raise_for_status()
    for _ in range(2):
        two = {"model": NAME, "prompt": "The capital of France is", "n": 2, "max_tokens": 8}
        server.client.post(completions, json=two).raise_for_status()
    refused = [{**CHAT, "top_p": 3}, {**CHAT, "top_p": 3}, {**CHAT, "model": "nobody"}]
    assert [server.client.post(chats, json=body).status_code for body in refused] == [400, 400, 404]
    long = {**CHAT, "stream": True, "max_tokens": 400, "ignore_eos": True}
    with server.client.stream("POST", chats, json=long) as stream:
        next(stream.iter_lines())


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        words = ("--served-model-name", NAME, "--max-model-len", "2048", "--max-num-seqs", "8")
        env = {"VLLM_SHIM_ENGINE_ARGS": "--max-total-tokens 4096"}
        with serving(Path(folder), str(MODEL), *words, engine=LAUNCH, env=env) as server:
            server.wait_ready(LOAD_SECONDS)
            load(server)
            time.sleep(3.0)  # The scheduler tells its gauges once more when it has become idle.
            text = httpx.get(f"http://127.0.0.1:{server.port + 1}/metrics", trust_env=False).raise_for_status().text
            ours = server.client.get("/metrics").text
    RECORDED.write_text(text)
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(ours)
    return 0


if __name__ == "__main__":
    sys.exit(main())
