"""The flags for metrics as SGLang 0.5.23 itself reads them, and the folder that its processes write into."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from middleware.metrics.buckets import FAMILIES
from shims import cli, plan
from shims.facts import Facts
from shims.flags.observability import SGLANG_WATCHDOG
from tests.engine.test_every_flag import PYTHON
from tests.server import ROOT

SCRIPT = Path(__file__).with_name("sglang_metrics.py")


def told(*words: str, env: dict[str, str]) -> dict[str, Any]:
    """By the engine's own Python, in the environment that its program gets."""
    made = plan.make(cli.from_words(["serve", "m", *words]), env, Facts())
    engine = made.engines[0]
    inherited = {**os.environ, **env, "PYTHONPATH": str(ROOT), **engine.env}
    done = subprocess.run(
        [PYTHON, SCRIPT],
        input=json.dumps(engine.argv[len(made.settings.engine) :]) + "\n",
        env={name: value for name, value in inherited.items() if name not in engine.unset},
        check=True,
        capture_output=True,
        text=True,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.mark.engine
def test_sglang_counts_between_exactly_vllms_bounds_in_a_folder_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "counter_7.db").write_bytes(b"of an earlier life")
    found = told(env={"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)})
    for family in ("request_latency", "time_to_first_token", "inter_token_latency"):
        assert found[family] == list(FAMILIES[family])
    assert found["prompts"] == found["answers"] == list(FAMILIES["request_tokens"])
    assert found["decode_log_interval"] == 10
    assert found["watchdog"] == SGLANG_WATCHDOG
    folder, files = found["folder"]
    assert not folder.startswith(str(tmp_path))
    assert files == []
    assert [one.name for one in tmp_path.iterdir()] == ["counter_7.db"]


@pytest.mark.engine
def test_the_operators_bounds_reach_sglang_as_they_were_written() -> None:
    bounds = {"request_latency": [0.1, 7], "inter_token_latency": [0.0005, 2], "request_tokens": [3, 1e6]}
    found = told("--custom-histogram-buckets", json.dumps(bounds), env={"PROMETHEUS_MULTIPROC_DIR": "/is/not/there"})
    assert (found["request_latency"], found["inter_token_latency"]) == ([0.1, 7.0], [0.0005, 2.0])
    assert found["prompts"] == found["answers"] == [3.0, 1e6]
