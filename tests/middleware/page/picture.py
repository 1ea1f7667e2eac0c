"""docs/page.png: the page as it is while three models take turns on one device, by the stack over a stand-in.
`python -m tests.middleware.page.picture` writes it.
"""

from __future__ import annotations

import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.middleware.page.browser import browser
from tests.server import ROOT, STAND_IN, free_port, serving

PICTURE = ROOT / "docs/page.png"
MODELS = """\
device_memory_gib: 80
models:
  - {serve: Qwen/Qwen3-8B --max-model-len 16384, name: qwen3-8b, aliases: [small], devices: [0], memory_gib: 40}
  - {serve: Qwen/Qwen3-30B-A3B --kv-cache-dtype fp8, name: qwen3-30b, devices: [0], memory_gib: 72}
  - {serve: google/gemma-3-12b-it, name: gemma-3-12b, devices: [0], memory_gib: 48}
"""
TURNS = (
    "qwen3-8b",
    "qwen3-30b",
    "qwen3-8b",
    "gemma-3-12b",
    "small",
    "gemma-3-12b",
    "qwen3-30b",
    "gemma-3-12b",
    "qwen3-8b",
)


def main() -> int:
    with tempfile.TemporaryDirectory() as name, browser() as chromium, ThreadPoolExecutor(8) as people:
        folder, port = Path(name), free_port()
        (folder / "models.yaml").write_text(MODELS)
        # A start that can be seen.
        env = {"VLLM_SHIM_PAGE": str(port), "STANDIN_LOAD_SECONDS": "2"}
        with serving(folder, "--shim-models", str(folder / "models.yaml"), engine=STAND_IN, env=env) as server:
            server.wait_ready()

            def ask(model: str) -> None:
                body = {"model": model, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 16}
                server.client.post("/v1/chat/completions", json=body)

            chromium.open(f"http://127.0.0.1:{port}/shim/", width=1180, height=900)
            chromium.wait("!!document.querySelector('#choices button')")
            chromium.js("document.querySelectorAll('#choices button')[2].click()")
            for model in TURNS:
                ask(model)
                time.sleep(2.5)
            waiting = [people.submit(ask, model) for model in ("qwen3-30b", "gemma-3-12b", "gemma-3-12b")]
            chromium.wait("[...document.querySelectorAll('.state')].some(e => e.textContent === 'starting')")
            PICTURE.write_bytes(chromium.picture(height=900))
            for one in waiting:
                one.result()
    print(f"{PICTURE.relative_to(ROOT)} is written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
