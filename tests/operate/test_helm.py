"""What the production stack's chart renders, as recorded from Helm itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from operate import source
from operate.found import Unreadable
from tests.operate.conftest import Engines, Write

HERE = Path(__file__).parent
RECORDED = json.loads((HERE.parent / "fixtures/stack_commands.json").read_text())
VALUES = yaml.safe_load((HERE / "stack_values.yaml").read_text())


def recorded(name: str) -> Any:
    return next(one for one in RECORDED if one["source"].endswith(name))


def known(env: dict[str, str]) -> dict[str, str]:
    """Without what the cluster fills in: its stand-ins are written in another way in the recording."""
    return {name: value for name, value in env.items() if not value.startswith("<")}


def model(**fields: Any) -> dict[str, Any]:
    return {"servingEngineSpec": {"modelSpec": [{"name": "m", "modelURL": "org/m", **fields}]}}


@pytest.mark.parametrize("case", VALUES, ids=[case["source"] for case in VALUES])
def test_values_give_the_command_line_that_helm_renders(case: Any, engines: Engines) -> None:
    expected = recorded(case["source"])
    found = next(one for one in engines(case["values"]) if f"modelSpec {case['model']}" in one.source)
    assert not found.problem
    words = list(found.argv)
    assert words == expected["words"]
    assert set(found.env) == set(expected["env"])
    assert known(dict(found.env)) == known(expected["env"])


def test_every_recorded_command_line_of_a_values_file_has_its_values() -> None:
    rendered = [one["source"] for one in RECORDED if one["source"].startswith(("helm template", "terraform"))]
    assert len(rendered) == len(VALUES)
    assert all(any(source.endswith(case["source"]) for case in VALUES) for source in rendered)


def test_each_model_is_an_engine_and_a_disabled_one_is_none(engines: Engines) -> None:
    models = [{"name": "a", "modelURL": "x"}, {"name": "b", "modelURL": "y", "enabled": False}, {"modelURL": "z"}]
    found = engines({"servingEngineSpec": {"modelSpec": models}})
    assert [one.argv[2] for one in found] == ["x", "z"]
    assert found[0].source.endswith("file.yaml: modelSpec a")


@pytest.mark.parametrize(
    "serving",
    [
        {"enableEngine": False, "modelSpec": [{"name": "a", "modelURL": "x"}]},
        {"modelSpec": [{"name": "a", "enabled": False, "modelURL": "x"}]},
    ],
)
def test_engines_that_are_switched_off_are_none_and_that_is_said(serving: Any, write: Write) -> None:
    reading = source.engines(write({"servingEngineSpec": serving}))
    assert reading.engines == ()
    assert reading.absent


@pytest.mark.parametrize("serving", [{}, {"modelSpec": []}, {"modelSpec": "x"}, {"modelspec": [{"modelURL": "x"}]}])
def test_values_without_a_list_of_models_are_an_error(serving: Any, write: Write) -> None:
    with pytest.raises(Unreadable):
        source.engines(write({"servingEngineSpec": serving}))


def test_the_chart_as_a_dependency_of_another_chart_is_found(engines: Engines) -> None:
    assert engines({"vllm-stack": model()})[0].argv[2] == "org/m"


def test_numbers_and_switches_are_written_as_helm_quotes_them(engines: Engines) -> None:
    config = {"maxModelLen": 8192, "gpuMemoryUtilization": 0.85, "dtype": "auto", "extraArgs": [True, 7, 0.5]}
    argv = engines(model(vllmConfig=config))[0].argv
    assert argv[-3:] == ("true", "7", "0.5")
    assert "8192" in argv
    assert "0.85" in argv


def test_a_large_number_without_quotes_is_noted(engines: Engines) -> None:
    notes = engines(model(vllmConfig={"maxModelLen": 1048576}))[0].notes
    assert [note for note in notes if "1.048576e+06" in note and "maxModelLen" in note]
    assert engines(model(vllmConfig={"maxModelLen": "1048576"}))[0].notes == ()


def test_a_date_like_text_stays_a_text(write: Write) -> None:
    text = "servingEngineSpec:\n  modelSpec:\n  - {name: m, modelURL: m, modelRevision: 2025-05-27}\n"
    assert source.engines(write(text)).engines[0].argv[-2:] == ("--revision", "2025-05-27")


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"modelURL": ["a", "b"]}, "modelURL"),
        ({"modelURL": None}, "modelURL"),
        ({"vllmConfig": {"maxModelLen": None}}, "maxModelLen"),
        ({"vllmConfig": {"extraArgs": {"a": 1}}}, "extraArgs"),
        ({"vllmConfig": [1]}, "vllmConfig"),
        ({"env": [{"name": "A", "value": 1}]}, "env[0].value"),
        ({"lmcacheConfig": "yes"}, "lmcacheConfig"),
        ({"raySpec": True}, "raySpec"),
    ],
)
def test_what_the_chart_cannot_render_is_named_and_the_other_models_are_read(
    fields: Any, path: str, engines: Engines
) -> None:
    values = model(**fields)
    values["servingEngineSpec"]["modelSpec"].append({"name": "other", "modelURL": "org/other"})
    broken, other = engines(values)
    assert path in broken.problem
    assert other.argv[2] == "org/other"


def test_secrets_of_any_form_become_stand_ins(engines: Engines) -> None:
    values = model(hf_token={"secretName": "mine", "secretKey": "k"})
    values["servingEngineSpec"]["vllmApiKey"] = "sk-in-clear"
    env = engines(values)[0].env
    assert env["HF_TOKEN"] == "<from secret mine>"
    assert env["VLLM_API_KEY"] == "<from secret vllm-secrets>"


def test_the_charts_empty_default_of_a_key_is_no_key(engines: Engines) -> None:
    values = model()
    values["servingEngineSpec"]["vllmApiKey"] = {"secretName": "", "secretKey": ""}
    assert "VLLM_API_KEY" not in engines(values)[0].env


def test_env_of_a_model_wins_over_env_of_all_and_variables_refer_to_each_other(engines: Engines) -> None:
    values = model(
        env=[{"name": "A", "value": "2"}, {"name": "B", "value": "$(A)/x"}],
        vllmConfig={"extraArgs": ["--served-model-name", "$(B)", "$(NOWHERE)"]},
    )
    values["servingEngineSpec"] |= {"env": [{"name": "A", "value": "1"}], "configs": {"C": 3}}
    found = engines(values)[0]
    assert (found.env["A"], found.env["B"], found.env["C"]) == ("2", "2/x", "3")
    assert found.argv[-2:] == ("2/x", "$(NOWHERE)")
    assert any("NOWHERE" in note for note in found.notes)


def test_variables_of_a_secret_are_noted_as_unknown(engines: Engines) -> None:
    assert any("s3-registry" in note for note in engines(model(envFromSecret={"name": "s3-registry"}))[0].notes)


def test_a_group_of_nodes_is_a_leader_and_a_headless_worker(engines: Engines) -> None:
    leader, worker = engines(model(lwsSpec={"enabled": True, "size": 2}, vllmConfig={"tensorParallelSize": 8}))
    assert leader.argv[leader.argv.index("--nnodes") + 1] == "2"
    assert leader.argv[leader.argv.index("--node-rank") + 1] == "0"
    assert worker.argv[worker.argv.index("--node-rank") + 1] == "1"
    assert worker.argv[-1] == "--headless"
    assert "--port" not in worker.argv


def test_the_shared_volume_and_the_cache_server_show_in_the_environment(engines: Engines) -> None:
    values = model(lmcacheConfig={"enabled": True}, pvcStorage="1Gi")
    values |= {"sharedPvcStorage": {"enabled": True}, "cacheserverSpec": {"enabled": True, "servicePort": 82}}
    env = engines(values)[0].env
    assert env["HF_HOME"] == "/data/shared-pvc-storage"
    assert env["LMCACHE_REMOTE_URL"] == "lm://vllm-cache-server-service:82"
