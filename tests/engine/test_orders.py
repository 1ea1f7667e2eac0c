"""abort-all and flush of `vllm-to-sglang` on the real SGLang."""

from __future__ import annotations

import subprocess
import sys
import threading

import openai
import pytest

from tests.engine.conftest import NAME, running
from tests.server import PATIENCE, Server, wait_for

pytestmark = pytest.mark.engine


def operate(server: Server, *words: str) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-I", "-m", "operate", *words, "--run-dir", str(server.run_dir))
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE)


def test_what_runs_is_aborted_and_the_cache_is_flushed_only_then(sglang: Server, client: openai.OpenAI) -> None:
    reasons: list[str | None] = []

    def read() -> None:
        endless = {"ignore_eos": True}
        stream = client.completions.create(
            model=NAME, prompt="Once upon a time", max_tokens=1900, stream=True, extra_body=endless
        )
        reasons.extend(reason for event in stream if (reason := event.choices[0].finish_reason))

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    wait_for(lambda: running(sglang) == 2, "two streams run")
    refused = operate(sglang, "flush")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "2 requests are with it" in refused.stderr
    done = operate(sglang, "abort-all")
    assert (done.returncode, done.stdout) == (0, "2 requests ran or waited, and SGLang was told to abort all.\n")
    for thread in threads:
        thread.join(PATIENCE)
    assert reasons == ["abort", "abort"]
    wait_for(lambda: operate(sglang, "flush").returncode == 0, "SGLang is idle, and flushes")
