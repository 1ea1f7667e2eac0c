"""Ten thousand requests that nobody would write: the middleware's memory stays flat, its log without a traceback; and
a real SGLang that was sent two thousand of them through the whole stack still answers.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.engine.conftest import LAUNCH, LOAD_SECONDS, MODEL, NAME
from tests.middleware.endpoints.sglang import GENERATES
from tests.middleware.fuzzing import Case, answered, cases, objection, obliging
from tests.middleware.serving import PATIENCE, free_port, process_environment, status_of, wait_for
from tests.server import serving

pytestmark = pytest.mark.soak

CASES = 10_000
WARMING = 2_000  # before the memory is measured
GROWTH = 24 * 1024 * 1024  # bytes; what a leak of 3 kB a request would be
REAL_CASES = 2_000


def send(count: int, check: Callable[[Case], None]) -> None:
    """The same cases in every run; nothing is shrunk, for a failure names its request."""

    @given(case=cases())
    @settings(max_examples=count, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    def each(case: Case) -> None:
        check(case)

    each()


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@contextlib.contextmanager
def running(engine: int, port: int, log: Path) -> Iterator[int]:
    """The middleware as a process, its log in a file: a pipe would fill up. Its pid."""
    words = ("--port", str(port), "--upstream", f"http://127.0.0.1:{engine}", "--served-model-name", NAME)
    with log.open("wb") as output:
        program = subprocess.Popen(
            [sys.executable, "-I", "-m", "middleware", *words], stdout=output, stderr=output, env=process_environment()
        )
    try:
        wait_for(lambda: status_of(f"http://127.0.0.1:{port}/health") == 200, "it is ready")
        yield program.pid
    finally:
        program.terminate()
        program.wait(PATIENCE)


def test_ten_thousand_strange_requests_leave_no_trace_in_the_middleware(tmp_path: Path) -> None:
    found: list[str] = []
    measured: list[int] = []
    port = free_port()
    log = tmp_path / "log"
    with obliging(GENERATES) as engine, running(engine, port, log) as pid:

        def check(case: Case) -> None:
            said = objection(case, *answered(port, case))
            if said:
                found.append(f"{case!r}\n  {said}")
            measured.append(resident(pid))

        send(CASES, check)
    assert len(measured) >= CASES * 0.9
    print(f"memory: {measured[0] >> 10} kB, {measured[WARMING] >> 10} kB, {measured[-1] >> 10} kB")
    assert max(measured[WARMING:]) - measured[WARMING] < GROWTH
    assert not found, "\n".join(found)
    assert "Traceback" not in log.read_text(errors="replace")


def test_a_real_engine_still_answers_after_two_thousand_strange_requests(tmp_path: Path) -> None:
    words: tuple[str, ...] = (str(MODEL), "--served-model-name", NAME, "--max-model-len", "2048", "--max-num-seqs", "8")
    words += ("--override-generation-config", '{"max_new_tokens": 8}')  # no answer is longer
    env = {"VLLM_SHIM_ENGINE_ARGS": "--max-total-tokens 4096"}
    found: list[str] = []
    slow: list[str] = []  # SGLang's own routes know no such limit: the client leaves
    with serving(tmp_path, *words, engine=LAUNCH, env=env) as server:
        server.wait_ready(LOAD_SECONDS)
        before = server.pid("sglang")

        def check(case: Case) -> None:
            try:
                said = objection(case, *answered(server.port, case))
            except TimeoutError:
                slow.append(repr(case))
                return
            if said:
                found.append(f"{case!r}\n  {said}")

        send(REAL_CASES, check)
        body = {"model": NAME, "messages": [{"role": "user", "content": "What is the capital of France?"}]}
        answer = server.client.post("/v1/chat/completions", json={**body, "max_tokens": 20, "temperature": 0})
        assert "Paris" in answer.json()["choices"][0]["message"]["content"]
        assert server.pid("sglang") == before, "it was not started again"
    assert not found, "\n".join(found)
    assert len(slow) < REAL_CASES / 100, slow
