"""VLLM_SHIM_PAGE: the page for people is off unless asked for, and never on a port of another part."""

from __future__ import annotations

import pytest

from shims import programs
from shims.exceptions import CommandLineError, StartError
from tests.shims.conftest import MakePlan


def test_there_is_no_page_unless_it_is_asked_for(make_plan: MakePlan) -> None:
    assert "--page-port" not in programs.middleware_command(make_plan("serve", "m"))


def test_the_middleware_is_told_the_pages_port(make_plan: MakePlan) -> None:
    plan = make_plan("serve", "m", env={"VLLM_SHIM_PAGE": "8090"})
    command = programs.middleware_command(plan)
    assert command[command.index("--page-port") + 1] == "8090"
    assert plan.to_json()["ports"]["page"] == 8090


def test_no_other_part_takes_the_pages_port(make_plan: MakePlan) -> None:
    ports = make_plan("serve", "m", "--port", "8000", env={"VLLM_SHIM_PAGE": "8001"}).ports
    assert ports.page == 8001
    assert 8001 not in (ports.engine, ports.middleware)


@pytest.mark.parametrize("port", ["8000", "8090"])
def test_a_port_that_another_has_is_refused(make_plan: MakePlan, port: str) -> None:
    with pytest.raises(StartError, match=f"VLLM_SHIM_PAGE: port {port}"):
        make_plan("serve", "m", "--port", "8000", env={"VLLM_SHIM_PAGE": port}, taken_ports=frozenset({8090}))


@pytest.mark.parametrize("text", ["yes", "0", "65536", "-1"])
def test_what_is_no_port_is_refused_by_name(make_plan: MakePlan, text: str) -> None:
    with pytest.raises(CommandLineError, match="VLLM_SHIM_PAGE"):
        make_plan("serve", "m", env={"VLLM_SHIM_PAGE": text})
