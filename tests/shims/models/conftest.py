"""Files of models, and the Plan that they become on a machine that is the same everywhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from shims import start
from shims.facts import Facts
from shims.plan import Plan
from switcher.spec import Member

Several = Callable[..., Plan]


@pytest.fixture
def several(tmp_path: Path) -> Several:
    """`several("models: ...", "--port", "9000", env={...}, name="models.yaml", device_memory=(80.0,))`"""

    def make(
        text: str, *words: str, env: Mapping[str, str] | None = None, name: str = "models.yaml", **facts: Any
    ) -> Plan:
        file = tmp_path / name
        file.write_text(text)
        return start.plan(["serve", "--shim-models", str(file), *words], env or {}, Facts(run_dir="/run/x", **facts))

    return make


def member(plan: Plan, name: str) -> Member:
    assert plan.mux is not None
    return next(one for one in plan.mux.members if name in one.names)
