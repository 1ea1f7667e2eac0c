"""The files read again: who keeps its program and its port, and who must have another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import render_config
from shims import start
from shims.exceptions import ShimError
from shims.models import reload
from shims.plan import Plan

Again = Callable[..., Plan]
TWINS = "models: [{serve: org1/llama}, {serve: org2/llama}]\n"


@pytest.fixture
def again(tmp_path: Path) -> Again:
    """`again(before, after)`: the Plan of a server that was started with `before` and reads `after` now."""

    def read(*texts: str, running: tuple[str, ...] = ()) -> Plan:
        file, folder = tmp_path / "models.yaml", tmp_path / "run"
        env = {"VLLM_SHIM_RUN_DIR": str(folder), "VLLM_SHIM_LOG": str(tmp_path / "log")}
        file.write_text(texts[0])
        render_config.write(start.plan(["serve", "--shim-models", str(file)], env), folder)
        for text in texts[1:]:
            file.write_text(text)
            plan = reload.plan(folder, env, running)
            render_config.write_models(plan, folder)
        return plan

    return read


def programs(plan: Plan) -> dict[str, str]:
    assert plan.mux is not None
    return {member.name: member.program for member in plan.mux.members}


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (
            "models: [{serve: org2/llama}, {serve: org1/llama}]",
            {"org2/llama": "sglang-llama-2", "org1/llama": "sglang-llama"},
        ),
        ("models: [{serve: org2/llama}]", {"org2/llama": "sglang-llama-2"}),
        (
            "models: [{serve: org0/llama}, {serve: org1/llama}, {serve: org2/llama}]",
            {"org0/llama": "sglang-llama-3", "org1/llama": "sglang-llama", "org2/llama": "sglang-llama-2"},
        ),
    ],
    ids=["reordered", "removed", "added"],
)
def test_a_model_that_stays_keeps_its_program(after: str, expected: dict[str, str], again: Again) -> None:
    assert programs(again(TWINS, after)) == expected


def test_a_new_model_has_not_the_program_of_one_that_leaves(again: Again) -> None:
    after = "models: [{serve: org2/llama}, {serve: org3/llama}]"
    assert programs(again(TWINS, after))["org3/llama"] == "sglang-llama-3"
    twice = again(TWINS, "models: [{serve: x}]", "models: [{serve: x}, {serve: y/llama}]", running=("sglang-llama",))
    assert programs(twice)["y/llama"] == "sglang-llama-2"  # the first llama still serves


def test_a_changed_model_has_a_program_of_its_own_and_the_old_one_keeps_its_files(again: Again, tmp_path: Path) -> None:
    plan = again("models: [{serve: a, limits: {queue: 1}}, {serve: b}]", "models: [{serve: a}, {serve: b --seed 3}]")
    assert programs(plan) == {"a": "sglang-a", "b": "sglang-b-2"}
    assert (tmp_path / "run/policy/sglang-b.json").exists()
    back = "models: [{serve: a}, {serve: b}]"
    assert programs(again(back, "models: [{serve: a}, {serve: b --seed 3}]", back))["b"] == "sglang-b"


def test_a_new_model_has_not_the_port_of_one_that_leaves(again: Again) -> None:
    plan = again("models: [{serve: a}, {serve: b}]", "models: [{serve: c}, {serve: b}]")
    assert plan.mux is not None
    first, second = plan.mux.members
    assert first.port not in (8001, second.port)
    assert second.port == 8003


def test_a_port_that_two_processes_would_hold_at_once_is_refused(again: Again) -> None:
    one = "models: [{serve: a, port: 7011, devices: 0}]"
    with pytest.raises(ShimError, match=r"models.yaml:1: port 7011 is that of a until it has left"):
        again(one, "models: [{serve: b, port: 7011, devices: 1}]")
    assert again(one, "models: [{serve: b, port: 7011, devices: 0}]").engines[0].port == 7011  # they take turns
