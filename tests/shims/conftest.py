"""A machine that is the same everywhere: facts without a machine, an environment without an operator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from shims import cli, plan
from shims.facts import Facts
from shims.plan import Plan

MakePlan = Callable[..., Plan]


@pytest.fixture
def make_plan() -> MakePlan:
    """`make_plan("serve", "m", "--port", "8000", env={...}, taken_ports=frozenset({8001}))`"""

    def make(*words: str, env: Mapping[str, str] | None = None, **facts: Any) -> Plan:
        return plan.make(cli.from_words(words), env or {}, Facts(**facts))

    return make
