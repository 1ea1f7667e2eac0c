"""The last checks before a start, and the run directory: what is wrong with a place is one sentence with its name."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

import shims.__main__
from shims import cli, facts, front_door, plan
from shims.__main__ import main, prepare
from shims.checks import check
from shims.exceptions import CommandLineError, StartError
from shims.plan import Plan
from tests.shims.test_caches import as_anybody, volume, world  # noqa: F401 - a fixture


def chosen(folder: Path, *words: str, env: Mapping[str, str] | None = None) -> Plan:
    """A rank without a front door, so that no port is asked for; its engine is a program that is there."""
    given = {"VLLM_SHIM_RUN_DIR": f"{folder}/run", "VLLM_SHIM_ENGINE": sys.executable, **(env or {})}
    command = cli.parse(words)
    return replace(plan.make(command, given, facts.gather(command, given)), front_door=False)


@pytest.mark.parametrize("name", ["t.jinja", "t.txt"])
def test_a_chat_template_must_be_a_file_that_can_be_read(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    made = chosen(tmp_path, "m", "--chat-template", str(path))
    with pytest.raises(StartError, match=f"the file {path} does not exist"):
        check(made)
    os.mkfifo(path)
    with pytest.raises(StartError, match="it is no file"):
        check(made)
    path.unlink()
    path.mkdir()
    with pytest.raises(StartError, match="it is a folder"):
        check(made)
    path.rmdir()
    path.write_text("{{ messages }}")
    check(made)


def test_a_chat_template_of_sglangs_own_flag_is_looked_for_too(tmp_path: Path) -> None:
    check(chosen(tmp_path, "m", env={"VLLM_SHIM_ENGINE_ARGS": "--chat-template chatml"}))
    check(chosen(tmp_path, "m", "--chat-template", "{{ inline }}"))
    with pytest.raises(StartError, match=r"/nowhere/t\.jinja does not exist"):
        check(chosen(tmp_path, "m", env={"VLLM_SHIM_ENGINE_ARGS": "--chat-template /nowhere/t.jinja"}))


def test_a_name_that_is_too_long_for_a_file_is_no_file(tmp_path: Path) -> None:
    for words in (
        ["m", "--chat-template", "x" * 300],
        ["/" + "x" * 300],
        ["m", "--chat-template", f"/{'x' * 300}.jinja"],
    ):
        with pytest.raises(StartError, match="File name too long"):
            check(chosen(tmp_path, *words))


def test_a_chat_template_that_this_user_may_not_read(world: Path) -> None:  # noqa: F811
    path = world / "template"
    path.write_text("{{ x }}")
    path.chmod(0)
    folder = volume(world / "mine")

    def start() -> None:
        made = chosen(folder, "m", "--chat-template", str(path))
        if os.geteuid() != 0:
            for step in (check, prepare):
                with pytest.raises(StartError, match=f"{path}.*Permission denied"):
                    step(made)

    as_anybody(start)


def test_a_run_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    link, file, folder = (tmp_path / name / "run" for name in ("link", "file", "folder"))
    for run in (link, file, folder):
        run.mkdir(mode=0o700, parents=True)
    (link / "lock").symlink_to("x")
    (file / "ready").touch()
    (folder / "supervisord.conf").mkdir()
    reasons = {
        link: "/lock cannot be written: Too many levels",
        file: "/ready: File exists",
        folder: "/supervisord.conf: it is a folder",
    }
    for run, reason in reasons.items():
        with pytest.raises(StartError, match=f"{run}{reason}"):
            prepare(chosen(run.parent, "m"))


def test_a_disk_that_is_full_is_said(tmp_path: Path) -> None:
    """/dev/full is such a disk."""
    made = chosen(tmp_path, "m")
    child = os.fork()
    if child == 0:
        import resource
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
        try:
            prepare(made)
        except StartError as error:
            os._exit(0 if str(error).startswith(f"{tmp_path}/run: File too large") else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_an_engine_that_is_no_program_is_a_sentence(tmp_path: Path) -> None:
    program = tmp_path / "engine"
    program.write_bytes(b"\x7fELF nonsense")
    program.chmod(0o755)
    with pytest.raises(StartError, match=f"{program} cannot be run: Exec format error"):
        check(chosen(tmp_path, "m", env={"VLLM_SHIM_ENGINE": f"{program} -m sglang.launch_server"}))


@pytest.mark.parametrize("host", ["a" * 300, "a..b"])
def test_a_host_that_is_no_name_cannot_be_bound(host: str, tmp_path: Path) -> None:
    made = replace(chosen(tmp_path, "m"), front_door=True, host=host)
    with pytest.raises(StartError, match="cannot be bound"):
        front_door.check(replace(made, facts=replace(made.facts, haproxy="haproxy")))


def test_a_key_that_is_a_fifo_and_a_socket_in_no_place_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "key")
    made = chosen(tmp_path, "m", "--ssl-certfile", f"{tmp_path}/key", "--uds", f"/tmp/{'x' * 60}/s")
    made = replace(made, front_door=True, facts=replace(made.facts, haproxy="haproxy"))
    with pytest.raises(StartError, match="it is no file"):
        front_door.check(replace(made, unix_socket="", host="127.0.0.1"))
    with pytest.raises(StartError, match="does not exist"):
        front_door.check(replace(made, unix_socket=f"/{'x' * 300}/s"))


@pytest.mark.parametrize("name", ["VLLM_SHIM_DRAIN_SECONDS", "VLLM_SHIM_LAME_DUCK_SECONDS", "VLLM_SHIM_SGLANG_PORT"])
@pytest.mark.parametrize("value", ["9" * 5000, "-1", "x", "²"])
def test_a_number_of_ours_that_is_none_is_a_sentence(name: str, value: str, tmp_path: Path) -> None:
    with pytest.raises(CommandLineError, match=f"{name} is ") as caught:
        chosen(tmp_path, "m", env={name: value})
    assert len(str(caught.value)) < 200


def test_a_start_with_a_wrong_place_ends_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VLLM_SHIM_RUN_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("VLLM_SHIM_LOG", str(tmp_path / "log"))
    assert main(["serve", "/" + "x" * 300]) == 1
    assert main(["serve", "m", "--response-role", "a\udcff"]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 2
    assert all(line.startswith("vllm: error: ") for line in errors)


def test_a_start_that_fails_is_left_in_the_termination_log_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only where the container runtime has put one."""
    words = tmp_path / "termination-log"
    monkeypatch.setattr(shims.__main__, "TERMINATION_LOG", words)
    monkeypatch.setenv("VLLM_SHIM_LOG", str(tmp_path / "shim.log"))
    assert main(["serve", "m", "--no-such-flag"]) == 2
    assert not words.exists()
    words.touch()
    assert main(["serve", "m", "--no-such-flag"]) == 2
    assert words.read_text().startswith("vllm: error: ")
    assert "--no-such-flag" in words.read_text()
