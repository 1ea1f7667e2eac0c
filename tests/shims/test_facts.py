"""What is read from the machine."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from shims import cli, facts
from shims.checks import check
from shims.exceptions import CommandLineError, StartError
from shims.facts import Facts
from tests.shims.test_caches import as_anybody, made, world  # noqa: F401 - a fixture


def test_a_second_server_gets_a_run_directory_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(facts, "DEFAULT_RUN_DIR", str(tmp_path))
    command = cli.parse(["m", "--port", "9100"])
    assert facts.gather(command, {}).run_dir == str(tmp_path)
    lock = os.open(tmp_path / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert facts.gather(command, {}).run_dir == f"{tmp_path}-9100"
        assert facts.gather(command, {"VLLM_SHIM_RUN_DIR": "/run/mine"}).log_dir == "/run/mine/log"
    finally:
        os.close(lock)
    assert facts.gather(command, {}).run_dir == str(tmp_path)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_port_that_somebody_listens_on_is_taken(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as server:
        port = server.getsockname()[1]
        assert port in facts.gather(cli.parse(["m"]), {}).taken_ports
    assert port not in facts.gather(cli.parse(["m"]), {}).taken_ports


def test_the_config_of_a_local_model_is_read_and_of_any_other_not(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "mistral"}))
    assert facts.gather(cli.parse([str(tmp_path)]), {}).model_config == {"model_type": "mistral"}
    assert facts.gather(cli.parse(["--model", str(tmp_path)]), {}).model_config == {"model_type": "mistral"}
    assert facts.gather(cli.parse(["org/name"]), {}).model_config == {}
    (tmp_path / "config.json").write_text("[]")
    assert facts.gather(cli.parse([str(tmp_path)]), {}).model_config == {}


def test_kubernetes_is_known_by_its_variable() -> None:
    assert facts.gather(cli.parse([]), {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}).in_kubernetes
    assert not facts.gather(cli.parse([]), {}).in_kubernetes


@pytest.mark.parametrize("text", ["[]", "{", '{"nope": 1}'])
def test_a_file_of_facts_that_is_none_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    path.write_text(text)
    with pytest.raises(CommandLineError, match="--facts"):
        facts.load(str(path))


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('{"taken_ports": 5}', "taken_ports"),
        ('{"taken_ports": ["x"]}', "taken_ports"),
        ('{"run_dir": 5}', "run_dir"),
        ('{"umask": "x"}', "umask"),
        ('{"model_config": []}', "model_config"),
        ('{"places": {"unwritable": 5}}', "places.unwritable"),
        ('{"places": 5}', "places"),
        ('{"model_config": ' + "[" * 3000 + "]" * 3000 + "}", "levels deep"),
        ('{"umask": ' + "9" * 5000 + "}", "limit"),
    ],
)
def test_facts_of_a_wrong_kind_are_refused_in_a_sentence(text: str, where: str, tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    path.write_text(text)
    with pytest.raises(CommandLineError, match=where) as caught:
        facts.load(str(path))
    assert "\n" not in str(caught.value)


def test_facts_are_what_the_file_says(tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    path.write_text('{"taken_ports": [1, 2], "generation_config": null, "model_config": {"a": [1]}, "ipv6": true}')
    assert facts.load(str(path)) == Facts(taken_ports=frozenset({1, 2}), model_config={"a": [1]}, ipv6=True)


def test_a_fifo_in_the_place_of_any_file_is_not_waited_for(tmp_path: Path) -> None:
    for name in ("config.json", "generation_config.json", "logging.json", "lock"):
        os.mkfifo(tmp_path / name)
    found = facts.gather(cli.parse([str(tmp_path)]), {"VLLM_LOGGING_CONFIG_PATH": f"{tmp_path}/logging.json"})
    assert (found.model_config, found.generation_config, found.logging_config) == ({}, None, None)
    assert not facts.run_dir_is_in_use(str(tmp_path))
    with pytest.raises(CommandLineError, match="it is no file"):
        facts.load(f"{tmp_path}/config.json")


def test_a_device_is_not_read_to_its_end() -> None:
    assert facts.gather(cli.parse(["m"]), {"VLLM_LOGGING_CONFIG_PATH": "/dev/zero"}).logging_config is None


@pytest.mark.parametrize("text", ["[" * 3000, '{"a":' * 500 + "1" + "}" * 500, "9" * 5000, '"\\ud800"'])
def test_a_models_config_that_cannot_be_worked_with_is_as_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(text)
    assert facts.gather(cli.parse([str(tmp_path)]), {}).model_config == {}


@pytest.mark.parametrize("model", ["/" + "x" * 300, "/" + "x/" * 3000, "/proc/self/mem/x"])
def test_a_model_at_no_possible_place_is_gathered_as_any_other(model: str) -> None:
    assert facts.gather(cli.parse([model]), {}).model_config == {}


def test_a_model_below_a_folder_that_this_user_may_not_enter(world: Path) -> None:  # noqa: F811
    (world / "locked/model").mkdir(parents=True)
    (world / "locked").chmod(0o700)

    def start() -> None:
        chosen = made({"VLLM_SHIM_ENGINE": sys.executable}, world, "--model", "m", "--generation-config", "vllm")
        [engine] = chosen.engines
        locked = replace(engine, model=f"{world}/locked/model")
        chosen = replace(chosen, engines=(locked,), front_door=False)
        command = cli.parse([f"{world}/locked/model"])
        assert facts.gather(command, {"VLLM_SHIM_RUN_DIR": f"{world}/run"}).model_config == {}
        if os.geteuid() != 0:
            with pytest.raises(StartError, match="Permission denied"):
                check(chosen)

    as_anybody(start)
