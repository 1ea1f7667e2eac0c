"""The access log: what it tells, what it leaves out, and how it is turned off."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from middleware.access_log import AccessLogFilter
from tests.middleware.serving import Served, wait_for
from tests.middleware.test_main import running, stopped


def told(excluded: tuple[str, ...], *args: Any) -> str | None:
    record = logging.LogRecord("uvicorn.access", logging.INFO, "", 0, '%s - "%s %s HTTP/%s" %d', args, None)
    return record.getMessage() if AccessLogFilter(excluded).filter(record) else None


@pytest.mark.parametrize(
    ("target", "is_told"),
    [("/load", True), ("/metrics", False), ("/metrics?a=b", False), ("/metrics/x", True), ("/health", False)],
)
def test_exact_paths_are_left_out_and_health_always(target: str, is_told: bool) -> None:
    assert (told(("/metrics", "/ping"), "1.2.3.4:5", "GET", target, "1.1", 200) is not None) is is_told


def test_a_query_is_not_told() -> None:
    assert (
        told((), "1.2.3.4:5", "POST", "/v1/models?key=sk-1", "1.1", 401) == '1.2.3.4:5 - "POST /v1/models HTTP/1.1" 401'
    )


def test_other_records_pass() -> None:
    assert told(()) is not None


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
