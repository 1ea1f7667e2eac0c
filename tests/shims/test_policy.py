"""The policy between the shims and the middleware: what is written is read, and what is not read is said."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from middleware.policy import Policy
from tests.shims.conftest import MakePlan

MIDDLEWARE = Path(__file__).resolve().parents[2] / "middleware"
FIELDS = {one.name for one in fields(Policy)}
SHIMS = MIDDLEWARE.parent / "shims"
WRITERS = ("ask", "replace")  # functions whose keywords are fields
MAKERS = ("at_most", "words")  # functions that are given the name of a field to write
BY_NAME = ("getattr", "_flag")  # functions that are given the name of a field
# What the middleware does not do yet, and who asks for it.
NOT_YET = {
    "sse_keep_alive_seconds": ["--sse-keep-alive-interval", "15"],
    "max_queued_tokens": ["--max-num-queued-tokens", "4k"],
}


def read() -> Iterator[str]:
    for path in MIDDLEWARE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and _last(node.value) in ("policy", "_policy"):
                yield node.attr
            elif isinstance(node, ast.Call) and _last(node.func) in BY_NAME:
                yield from (one.value for one in node.args if isinstance(one, ast.Constant) and type(one.value) is str)


def written() -> Iterator[str]:
    for path in SHIMS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            if _last(node.func) in WRITERS:
                yield from (one.arg for one in node.keywords if one.arg)
            elif _last(node.func) in MAKERS:
                yield from (one.value for one in node.args if isinstance(one, ast.Constant) and type(one.value) is str)


def _last(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def test_the_middleware_reads_every_field() -> None:
    assert FIELDS - set(read()) == set(NOT_YET)


def test_the_shims_write_every_field() -> None:
    assert FIELDS - set(written()) == set()


@pytest.mark.parametrize("field", NOT_YET)
def test_a_field_that_nobody_reads_yet_is_said_aloud(field: str, make_plan: MakePlan) -> None:
    made = make_plan("serve", "m", *NOT_YET[field])
    assert getattr(made.policy, field) != getattr(Policy(), field)
    assert [one for one in made.warnings if NOT_YET[field][0] in one and "not served yet" in one]
