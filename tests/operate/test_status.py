"""`vllm-to-sglang status`, `abort-all` and `flush` where nobody sensible is there, and which server is meant."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xmlrpc.server import SimpleXMLRPCDispatcher, SimpleXMLRPCRequestHandler

import pytest

from operate import act, inside, run_dir, screen, supervisorctl
from operate.__main__ import main
from tests.operate.conftest import Answer

Run = Callable[..., Answer]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*words: str) -> Answer:
        try:
            code = main(words)
        except SystemExit as end:
            code = int(end.code or 0)
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    return run


@pytest.fixture
def hung(tmp_path: Path) -> Iterator[Path]:
    """A run directory whose supervisord and middleware accept and say nothing."""
    with socket.socket(socket.AF_UNIX) as one, socket.socket(socket.AF_UNIX) as two:
        for listener, name in ((one, "supervisor.sock"), (two, "control.sock")):
            listener.bind(str(tmp_path / name))
            listener.listen()
        yield tmp_path


class Rpc(SimpleXMLRPCRequestHandler):
    rpc_paths = ("/RPC2",)
    disable_nagle_algorithm = False  # a Unix socket has none

    def address_string(self) -> str:
        return ""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's name
        pass


class Supervisord(socketserver.ThreadingUnixStreamServer, SimpleXMLRPCDispatcher):
    """What supervisord says of its programs."""

    daemon_threads = True
    logRequests = False  # noqa: N815 - the standard library's name

    def __init__(self, folder: Path, **states: str) -> None:
        SimpleXMLRPCDispatcher.__init__(self, allow_none=True)
        socketserver.ThreadingUnixStreamServer.__init__(self, str(folder / "supervisor.sock"), Rpc)
        began = {"pid": 7, "start": 1_790_000_000, "stop": 1_790_000_009, "spawnerr": "", "description": "Sep 21 03 AM"}
        programs = [{"name": name, "statename": state, **began} for name, state in states.items()]
        self.register_function(lambda: 1, "supervisor.getPID")
        self.register_function(lambda: programs, "supervisor.getAllProcessInfo")


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[Callable[..., None]]:
    """`supervised(sglang="RUNNING")`: a supervisord in the run directory that says so."""
    with contextlib.ExitStack() as stack:

        def supervised(**states: str) -> None:
            server = stack.enter_context(Supervisord(tmp_path, **states))
            threading.Thread(target=server.serve_forever).start()
            stack.callback(server.shutdown)

        yield supervised


def process(proc: Path, pid: int, *words: str) -> None:
    folder = proc / str(pid)
    folder.mkdir(parents=True)
    (folder / "cmdline").write_bytes("".join(f"{word}\0" for word in words).encode())


def supervisord(proc: Path, pid: int, folder: str) -> None:
    process(proc, pid, "/venv/python", "-I", "-X", "utf8", "-m", "supervision", "-c", f"{folder}/supervisord.conf")


def test_where_nothing_runs_it_says_so_and_exits_with_1(run: Run, tmp_path: Path) -> None:
    answer = run("status", "--run-dir", str(tmp_path))
    assert answer.code == 1
    assert "NOT READY" in answer.out
    assert "supervisord does not run" in answer.out
    assert "the middleware does not run" in answer.out
    for order in ("abort-all", "flush"):
        answer = run(order, "--run-dir", str(tmp_path))
        assert (answer.code, answer.out) == (1, "")
        assert "the middleware does not run: nothing was done" in answer.err


def test_a_folder_that_is_not_there_is_named(run: Run, tmp_path: Path) -> None:
    answer = run("status", "--run-dir", str(tmp_path / "gone"))
    assert answer.code == 1
    assert f"there is no run directory {tmp_path / 'gone'}" in " ".join(answer.out.split())
    assert run("flush", "--run-dir", str(tmp_path / "gone")).code == 1
    document = run("status", "--json", "--run-dir", str(tmp_path / "gone")).json
    assert document["ready"] is False
    assert set(document["unknown"]) == {"programs", "plan", "state", "middleware"}


def test_wrong_use_is_exit_2(run: Run, tmp_path: Path) -> None:
    assert run("status", "--jsn").code == 2
    assert run("status", "--run-dir", str(tmp_path), "--", "serve").code == 2
    assert run("abort-all", "now").code == 2


def test_what_hangs_is_said_and_not_waited_for(run: Run, hung: Path) -> None:
    answer = run("status", "--run-dir", str(hung))
    assert answer.code == 1
    assert "supervisord does not answer within 2 s" in answer.out
    assert "the middleware does not answer within 6 s" in answer.out


def test_garbage_in_the_files_is_a_sentence(run: Run, tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    for garbage in (b"", b"\xff\x00", b"[]", b'{"version": 1, "programs": [1]}'):
        (tmp_path / "plan.json").write_bytes(garbage)
        (tmp_path / "log/state.json").write_bytes(garbage)
        answer = run("status", "--run-dir", str(tmp_path))
        assert answer.code == 1
        assert "what a server of ours writes" in " ".join(answer.out.split())


def test_garbage_on_the_sockets_is_a_sentence(tmp_path: Path, run: Run) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "control.sock"))
        listener.listen()

        def answer_garbage() -> None:
            client, _ = listener.accept()
            with client:
                client.recv(65536)
                client.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno")

        thread = threading.Thread(target=answer_garbage)
        thread.start()
        answer = run("status", "--run-dir", str(tmp_path))
        thread.join()
    assert "the middleware gave no answer that can be read" in answer.out


@pytest.mark.parametrize(
    "plan",
    [
        {"models": [1]},
        {"models": 5},
        {"ports": [1]},
        {"ports": {"public": 10**400}},
        {"programs": 5},
        {"programs": [{}]},
        {"decisions": [{"kind": "flag"}]},
        {"decisions": 1},
        {"warnings": [None]},
        {"log_dir": 1},
    ],
)
def test_a_plan_of_other_types_is_a_sentence(run: Run, tmp_path: Path, plan: dict[str, Any]) -> None:
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    assert run("status", "--json", "--run-dir", str(tmp_path)).json["plan"] is None
    answer = run("status", "--run-dir", str(tmp_path))
    assert answer.code == 1
    assert "plan.json is not what a server of ours writes" in " ".join(answer.out.split())


@pytest.mark.parametrize("at", [1e300, -1e18, -1e300, 1e12])
def test_a_time_of_no_calendar_is_no_fault(run: Run, tmp_path: Path, at: float) -> None:
    death = {"at": at, "how": "signal SIGKILL", "why": "", "phase": "load"}
    state = {"version": 1, "started": at, "since": at, "programs": {"sglang": {"deaths": [death], "restarts": 1}}}
    (tmp_path / "log").mkdir()
    (tmp_path / "log/state.json").write_text(json.dumps({**state, "ended": {"at": at, "code": 1}}))
    answer = run("status", "--run-dir", str(tmp_path))
    assert answer.code == 1
    assert "sglang (load): signal SIGKILL" in answer.out


def test_a_time_of_another_day_has_its_day(run: Run, tmp_path: Path, supervised: Callable[..., None]) -> None:
    supervised(sglang="STOPPED")
    (tmp_path / "log").mkdir()
    ended = {"at": 1_790_000_010.0, "code": 1, "why": "x"}
    (tmp_path / "log/state.json").write_text(json.dumps({"version": 1, "ended": ended}))
    answer = run("status", "--run-dir", str(tmp_path))
    day = time.strftime("%Y-%m-%d %H:%M", time.localtime(1_790_000_010))
    assert f"the server ended at {day} with" in answer.out
    assert f"- sglang is STOPPED: since {day}" in answer.out


@pytest.mark.parametrize("place", [">&-", ">/dev/full"])
@pytest.mark.parametrize("words", ["status", "status --json", "flush"])
def test_an_output_that_takes_nothing_is_no_traceback(tmp_path: Path, place: str, words: str) -> None:
    command = f"exec {sys.executable} -I -m operate {words} --run-dir {tmp_path} {place}"
    done = subprocess.run(["/bin/sh", "-c", command], check=False, capture_output=True, text=True, cwd="/")
    assert done.returncode == 1
    assert done.stderr.count("\n") <= 1
    assert "Traceback" not in done.stderr
    if place == ">/dev/full" and words != "flush":
        assert done.stderr == "vllm-to-sglang: error: No space left on device\n"


def test_an_order_that_was_taken_and_not_answered_may_still_be_obeyed(
    run: Run, hung: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(act, "SECONDS", 0.5)
    for order in ("abort-all", "flush"):
        answer = run(order, "--run-dir", str(hung))
        assert answer.code == 1
        assert "it is not known whether it was done, and it may still be" in answer.err
        assert "nothing was done" not in answer.err


def test_what_the_middleware_says_does_nothing_to_the_terminal(run: Run, tmp_path: Path) -> None:
    said = json.dumps({"done": True, "said": "\x1b[2Jdone\n"}).encode()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "control.sock"))
        listener.listen()
        listener.settimeout(30)

        def answer() -> None:
            client, _ = listener.accept()
            with client:
                client.recv(65536)
                client.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(said), said))

        thread = threading.Thread(target=answer)
        thread.start()
        done = run("flush", "--run-dir", str(tmp_path))
        thread.join()
    assert (done.code, done.out) == (0, "?[2Jdone?\n")


@pytest.mark.parametrize("socket_is", ["missing", "a folder"])
def test_a_middleware_that_runs_without_its_socket_is_not_told_as_dead(
    run: Run, tmp_path: Path, supervised: Callable[..., None], socket_is: str
) -> None:
    supervised(sglang="RUNNING", middleware="RUNNING", haproxy="STOPPED")
    if socket_is == "a folder":
        (tmp_path / "control.sock").mkdir()
    for words in (("status",), ("status", "--json"), ("flush",)):
        answer = run(*words, "--run-dir", str(tmp_path))
        assert answer.code == 1
        said = " ".join((answer.out + answer.err).split())
        assert "the middleware runs, and its control socket does not answer" in said
        assert "the middleware does not run" not in said


@pytest.mark.parametrize(
    ("door", "said"),
    [("hangs", "haproxy does not answer within 1 s"), ("refuses", "haproxy does not run"), ("answers", "")],
)
def test_a_front_door_that_supervisord_takes_for_running_is_asked_itself(
    tmp_path: Path, supervised: Callable[..., None], door: str, said: str
) -> None:
    supervised(sglang="RUNNING", middleware="RUNNING", haproxy="RUNNING")
    with socket.socket(socket.AF_UNIX) as haproxy:
        haproxy.bind(str(tmp_path / "haproxy.sock"))
        haproxy.settimeout(30)
        if door != "refuses":
            haproxy.listen()

        def answer() -> None:
            client, _ = haproxy.accept()
            with client:
                client.recv(65536)
                client.sendall(b"Name: HAProxy\n")

        thread = threading.Thread(target=answer if door == "answers" else lambda: None)
        thread.start()
        document = inside.document(tmp_path, told())
        thread.join()
    assert document["ready"] is (door == "answers")
    assert [problem[: len(said)] for problem in document["problems"]] == ([said] if said else [])


def test_deaths_are_told_from_the_state_file_with_the_end(run: Run, tmp_path: Path) -> None:
    death = {"at": 1_790_000_000.5, "how": "signal SIGKILL", "why": "out of \x1b[31mmemory", "phase": "load"}
    state = {
        "version": 1, "started": 1_790_000_000, "updated": 1_790_000_009, "phase": "load", "since": 1_790_000_001.0,
        "peak_memory_bytes": 3 << 30, "memory_limit_bytes": 8 << 30, "oom_kills": 1, "unheard_of": [],
        "programs": {"sglang": {"deaths": [death] * 30, "restarts": 2}},
        "ended": {"at": 1_790_000_010.0, "code": 137, "why": "3 exits within 600 s"},
    }  # fmt: skip
    (tmp_path / "log").mkdir()
    (tmp_path / "log/state.json").write_text(json.dumps(state))
    answer = run("status", "--run-dir", str(tmp_path))
    assert "sglang (load): signal SIGKILL: out of ?[31mmemory" in answer.out
    assert "at most 3.0 GiB of 8.0 GiB; OOM kills: 1" in answer.out
    assert "with exit code 137: 3 exits within 600 s" in answer.out
    document = run("status", "--json", "--run-dir", str(tmp_path)).json
    assert len(document["state"]["programs"]["sglang"]["deaths"]) == 10


def test_no_line_is_wider_than_the_screen(run: Run, tmp_path: Path) -> None:
    decision = {"name": "--x", "kind": "flag", "value": "v" * 300, "action": "convert", "target": "t" * 300, "note": ""}
    (tmp_path / "plan.json").write_text(json.dumps({"models": ["m" * 200], "decisions": [decision] * 60}))
    answer = run("status", "--run-dir", str(tmp_path))
    assert max(map(len, answer.out.splitlines())) <= screen.WIDTH
    assert "and 35 flags more (--json)" in answer.out


def test_option_then_variable_then_the_server_that_runs_then_the_default(tmp_path: Path) -> None:
    supervisord(tmp_path, 7, "/run/one")
    env = {"VLLM_SHIM_RUN_DIR": "/by/variable"}
    assert run_dir.find("/by/option", env, tmp_path) == Path("/by/option")
    assert run_dir.find(None, env, tmp_path) == Path("/by/variable")
    assert run_dir.find(None, {}, tmp_path) == Path("/run/one")
    assert run_dir.find(None, {}, tmp_path / "7") == run_dir.DEFAULT


def test_pid_1_is_meant_where_several_run_and_else_nobody_is_guessed(tmp_path: Path) -> None:
    supervisord(tmp_path, 7, "/run/one")
    supervisord(tmp_path, 8, "/run/two")
    process(tmp_path, 9, "/usr/bin/vi", "supervision/supervisord.conf")
    process(tmp_path, 10, "python", "-m", "supervision", "-c", "relative/supervisord.conf")
    with pytest.raises(run_dir.NotFound, match=r"several servers run here, from /run/one, /run/two: name one"):
        run_dir.find(None, {}, tmp_path)
    supervisord(tmp_path, 1, "/run/pid1")
    assert run_dir.find(None, {}, tmp_path) == Path("/run/pid1")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_users_server_is_a_sentence_that_says_whom_to_be(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        os.setresuid(65534, 65534, 65534)
        os.write(writing, f"{run_dir.trouble(tmp_path / 'x')}\n{run_dir.trouble(Path('/root'))}".encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        inner, outer = pipe.read().splitlines()
    assert "ask as the user who runs the server" in inner
    assert "belongs to root (uid 0), who alone may look inside, and you are uid 65534" in outer


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_what_another_user_has_written_is_not_done_for_him(run: Run, tmp_path: Path) -> None:
    os.chown(tmp_path, 65534, 65534)
    for words in (("status",), ("flush",)):
        answer = run(*words, "--run-dir", str(tmp_path))
        assert answer.code == 1
        assert "belongs to nobody (uid 65534), and you (uid 0) would do what" in " ".join(
            (answer.out + answer.err).split()
        )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(run_dir.VARIABLE, str(tmp_path))
        (tmp_path / run_dir.CONF).touch()
        assert supervisorctl.main(["status"]) == 1


def told(**engine: Any) -> dict[str, Any]:
    quiet = {"state": "ready", "admits": True, "phase": None, "why": "", "stalled_seconds": 0.0, "started": None}
    return {"engine": quiet | engine}


def test_a_stalled_engine_is_a_problem(tmp_path: Path) -> None:
    document = inside.document(tmp_path, told(stalled_seconds=400.0))
    assert "the engine is stalled: no token for 400 s while requests ran or waited" in document["problems"]


@pytest.mark.parametrize(
    ("words", "ends"),
    [
        (["restart", "sglang"], True),
        (["stop", "middleware", "sglang"], True),
        (["restart", "all"], True),
        (["restart", "sglang:*"], True),
        (["reload"], True),
        (["shutdown"], True),
        (["restart", "middleware"], False),
        (["start", "sglang"], False),
        (["tail", "-f", "sglang"], False),
        (["signal", "TERM", "sglang"], True),
        (["signal", "sigkill", "all"], True),
        (["signal", "9", "middleware", "sglang:*"], True),
        (["signal", "CONT", "sglang"], False),
        (["signal", "TERM", "middleware"], False),
        (["signal"], False),
        (["remove", "sglang"], True),
        (["update"], True),
        (["update", "sglang"], True),
        (["update", "middleware"], False),
        (["stop", "haproxy"], False),
        ([], False),
    ],
)
def test_what_ends_the_engine_is_known_before_it_is_done(words: list[str], ends: bool) -> None:
    assert supervisorctl.ends(words, "sglang") is ends


@pytest.mark.parametrize(
    "words",
    [
        ["stop", "haproxy"],
        ["restart", "haproxy"],
        ["signal", "TERM", "haproxy"],
        ["restart", "all"],
        ["reload"],
        ["update"],
        [],
    ],
)
def test_without_the_front_door_probes_and_clients_are_refused_and_it_is_said(words: list[str]) -> None:
    assert supervisorctl.is_dangerous(words)
    said = supervisorctl.warning(words, {"engine_start_seconds": None})
    assert "probes and clients are refused" in said
    assert ("sglang" in said) is (words[1:] != ["haproxy"] and "haproxy" not in words)


@pytest.mark.parametrize("words", [["status"], ["restart", "middleware"], ["start", "all"], ["tail", "haproxy"]])
def test_what_ends_neither_is_not_warned_of(words: list[str]) -> None:
    assert not supervisorctl.is_dangerous(words)


def test_what_is_removed_is_started_by_nobody() -> None:
    said = supervisorctl.warning(["remove", "sglang"], {"engine_start_seconds": None})
    assert "sglang is started by nobody" in said


def test_the_warning_says_what_the_probe_will_do_and_how_long_the_start_took() -> None:
    said = supervisorctl.warning(["restart", "all"], {"engine_start_seconds": 93.4})
    assert "/health is 503 until it is ready again (its last start took 93 s)" in said
    assert "restarts the container after about 30 s" in said
    assert "haproxy ends too" in said
