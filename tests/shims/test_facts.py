"""What is read from the machine."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from pathlib import Path

import pytest

from shims import cli, facts
from shims.exceptions import CommandLineError


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
