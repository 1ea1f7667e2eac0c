"""The access log: what it tells, what it leaves out, and how it is turned off."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest
from uvicorn.config import LOGGING_CONFIG
from uvicorn.logging import AccessFormatter

from middleware.access_log import AccessLog
from middleware.masking import Mask
from tests.middleware.serving import Served, wait_for
from tests.middleware.test_main import running, stopped


def told(*lines: tuple[str, str, str, str, int], excluded: tuple[str, ...] = (), mask: Mask | None = None) -> list[str]:
    """What is written, piece by piece, of answers in one turn of the event loop."""
    written: list[str] = []

    async def main() -> None:
        access = AccessLog(excluded, written.append, mask)
        for line in lines:
            access.info("", *line)
        assert not written
        await asyncio.sleep(0)

    asyncio.run(main())
    return written


@pytest.mark.parametrize(
    ("target", "is_told"),
    [("/load", True), ("/metrics", False), ("/metrics?a=b", False), ("/metrics/x", True), ("/health", False)],
)
def test_exact_paths_are_left_out_and_health_always(target: str, is_told: bool) -> None:
    assert bool(told(("1.2.3.4:5", "GET", target, "1.1", 200), excluded=("/metrics", "/ping"))) is is_told


def test_a_line_is_uvicorns_without_its_query() -> None:
    line = ("1.2.3.4:0", "POST", "/v1/models?key=sk-1", "1.1", 200)
    [text] = told(line)
    assert text == 'INFO:     1.2.3.4:0 - "POST /v1/models HTTP/1.1" 200 OK\n'
    record = logging.LogRecord("uvicorn.access", logging.INFO, "", 0, '%s - "%s %s HTTP/%s" %d', line, None)
    as_uvicorn = AccessFormatter(LOGGING_CONFIG["formatters"]["access"]["fmt"], use_colors=False).format(record)
    assert text == as_uvicorn.replace("?key=sk-1", "") + "\n"
    assert told(("c", "GET", "/", "1.1", 499)) == ['INFO:     c - "GET / HTTP/1.1" 499 \n']


@pytest.mark.parametrize("path", ["/v1/models/sk-1%C3%A9", "/v1/models/sk-1é/more"])
def test_a_key_in_a_path_is_not_told(path: str) -> None:
    [text] = told(("c", "GET", path, "1.1", 404), mask=Mask(["sk-1é"]))
    assert "sk-1" not in text
    assert "/v1/models/***" in text


def test_a_client_is_told_as_it_is_known() -> None:
    [text] = told(("::ffff:1.2.3.4:0", "GET", "/a", "1.1", 200), ("[::1]:5", "GET", "/b", "1.1", 200))
    assert re.findall(r"INFO:     (\S+) -", text) == ["1.2.3.4:0", "[::1]:5"]


def test_all_of_a_turn_is_written_at_once_and_in_order() -> None:
    [text] = told(*(("c", "GET", f"/{number}", "1.1", 200) for number in range(3)))
    assert re.findall(r"GET /(\d)", text) == ["0", "1", "2"]


def test_a_log_that_cannot_be_written_ends_nothing() -> None:
    def full(text: str) -> None:
        raise OSError(28, "No space left on device")

    async def main() -> None:
        access = AccessLog((), full)
        for _ in range(2):
            access.info("", "c", "GET", "/", "1.1", 200)
            await asyncio.sleep(0)

    asyncio.run(main())


def log_of(engine: Served, policy: Path, document: dict[str, Any]) -> str:
    policy.write_text(json.dumps(document))
    with running(engine.port, "--policy", str(policy)) as (program, front):
        wait_for(lambda: front.get("/health").status_code == 200, "it is ready")
        front.get("/version")
        front.get("/load?secret")
        front.post("/v1/completions", json={"prompt": "a"})
        return stopped(program)


@pytest.mark.parametrize(
    ("document", "told_of"),
    [
        ({}, {"/version", "/load", "/v1/completions"}),
        ({"access_log_exclude": ["/version", "/load"]}, {"/v1/completions"}),
        ({"access_log": False}, set()),
        ({"log_level": "warning"}, set()),
    ],
)
def test_the_policy_says_what_is_told(
    engine: Served, tmp_path: Path, document: dict[str, Any], told_of: set[str]
) -> None:
    log = log_of(engine, tmp_path / "policy.json", document)
    for path in ("/version", "/load", "/v1/completions"):
        assert (f" {path} HTTP/1.1" in log) is (path in told_of), log
    assert "/health" not in log
    assert "secret" not in log
    assert "engine: loading -> ready" in log
