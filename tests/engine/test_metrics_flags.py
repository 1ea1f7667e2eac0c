"""The flags for metrics as SGLang 0.5.23 itself reads them, and the folder that its processes write into."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

import render_config
from middleware.metrics.buckets import FAMILIES
from shims import cli, plan
from shims.facts import Facts
from shims.flags.observability import SGLANG_WATCHDOG
from tests.engine.test_every_flag import PYTHON
from tests.server import ROOT

SCRIPT = Path(__file__).with_name("sglang_metrics.py")


def told(run_dir: Path, *words: str, env: dict[str, str]) -> dict[str, Any]:
    """By the engine's own Python, in the environment that its program gets."""
    made = plan.make(cli.from_words(["serve", "m", *words]), env, Facts(run_dir=str(run_dir)))
    render_config.write(made, run_dir)
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
    shared, run_dir = tmp_path / "shared", tmp_path / "run"
    shared.mkdir()
    (shared / "counter_7.db").write_bytes(b"of another process")
    found = told(run_dir, env={"PROMETHEUS_MULTIPROC_DIR": str(shared)})
    for family in ("request_latency", "time_to_first_token", "inter_token_latency"):
        assert found[family] == list(FAMILIES[family])
    assert found["prompts"] == found["answers"] == list(FAMILIES["request_tokens"])
    assert found["decode_log_interval"] == 10
    assert found["watchdog"] == SGLANG_WATCHDOG
    folder, files = found["folder"]
    assert folder == str(run_dir / "prometheus/sglang")
    # A folder of SGLang's own beside the samples, of which it makes no use, and the samples themselves.
    assert {Path(name).suffix for name in files} == {"", ".db"}
    assert [one.name for one in shared.iterdir()] == ["counter_7.db"]


@pytest.mark.engine
def test_the_operators_bounds_reach_sglang_as_they_were_written(tmp_path: Path) -> None:
    bounds = {"request_latency": [0.1, 7], "inter_token_latency": [0.0005, 2], "request_tokens": [3, 1e6]}
    words = ("--custom-histogram-buckets", json.dumps(bounds))
    found = told(tmp_path, *words, env={"PROMETHEUS_MULTIPROC_DIR": "/is/not/there"})
    assert (found["request_latency"], found["inter_token_latency"]) == ([0.1, 7.0], [0.0005, 2.0])
    assert found["prompts"] == found["answers"] == [3.0, 1e6]
