"""KEDA's queries, asked by Prometheus' own evaluator of the series that engines serve: KEDA wants one number each."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from middleware.metrics import table
from tests.deploy.manifests import SCALER, VALUES, document
from tests.prometheus.scraper import STACK_LABELS, program

MODEL = "meta-llama/Llama-3.1-8B-Instruct"
TRIGGERS = document(SCALER, "ScaledObject")["spec"]["triggers"]
QUERIES = [trigger["metadata"]["query"] for trigger in TRIGGERS]
OF_THE_CHART = 'vllm:num_requests_waiting{model="llama3"}'


def answers(tmp_path: Path, query: str, series: dict[str, str], expected: list[dict[str, Any]]) -> str:
    """What promtool has against `expected`; nothing if it holds."""
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [{"expr": query, "eval_time": "0m", "exp_samples": expected}],
    }
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump({"evaluation_interval": "1m", "tests": [test]}))
    done = subprocess.run(
        [program("promtool"), "test", "rules", str(path)], check=False, capture_output=True, text=True, timeout=60
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def pods(name: str, *values: int, model: str = MODEL) -> dict[str, str]:
    """A series of each pod, with an engine's labels and the ServiceMonitor's."""
    found = {}
    for number, value in enumerate(values):
        labels = {**STACK_LABELS, "pod": f"pod-{number}", "engine": "0", "model_name": model}
        inside = ",".join(f'{label}="{text}"' for label, text in labels.items())
        found[f"{name}{{{inside}}}"] = str(value)
    return found


@pytest.mark.parametrize("query", QUERIES)
def test_several_engines_give_one_number_and_other_models_do_not_count(query: str, tmp_path: Path) -> None:
    name = query.partition("(")[2].partition("{")[0]
    series = {**pods(name, 3, 4), **{k.replace("pod-", "other-"): v for k, v in pods(name, 9, model="m").items()}}
    assert answers(tmp_path, query, series, [{"labels": "{}", "value": 7}]) == ""


@pytest.mark.parametrize("query", QUERIES)
def test_while_no_engine_tells_its_queue_there_is_no_number_and_that_is_no_idle_engine(
    query: str, tmp_path: Path
) -> None:
    assert answers(tmp_path, query, pods("vllm_shim:engine_ready", 0), []) == ""
    assert all(trigger["metadata"]["ignoreNullValues"] == "false" for trigger in TRIGGERS)


def test_the_charts_default_query_finds_nothing_and_a_bare_one_more_than_one_number(tmp_path: Path) -> None:
    series = pods("vllm:num_requests_waiting", 3, 4)
    assert answers(tmp_path, OF_THE_CHART, series, []) == ""
    assert answers(tmp_path, "vllm:num_requests_waiting", series, [{"labels": "{}", "value": 7}]) != ""


def test_the_queries_ask_for_series_that_are_served() -> None:
    served = {series.name for series in table.TABLE}
    assert {query.partition("(")[2].partition("{")[0] for query in QUERIES} <= served


def test_what_is_scaled_is_the_deployment_that_the_chart_makes_of_the_values() -> None:
    (model,) = yaml.safe_load(VALUES.read_text())["servingEngineSpec"]["modelSpec"]
    spec = document(SCALER, "ScaledObject")["spec"]
    assert spec["scaleTargetRef"]["name"] == f"vllm-{model['name']}-deployment-vllm"
    assert model["modelURL"] == MODEL
    assert spec["minReplicaCount"] >= 1
