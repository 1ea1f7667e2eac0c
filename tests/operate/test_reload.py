"""`vllm-to-sglang reload` where supervisord or the middleware does not go along: what stands in the run directory."""

from __future__ import annotations

import contextlib
import os
import socketserver
import tempfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

import render_config
from operate.__main__ import main
from shims import start
from tests.operate.test_status import Supervisord

BEFORE = "models:\n  - {cmd: 'sleep ${PORT}', name: b}\n"
AFTER = "queue: 7\nmodels:\n  - {cmd: 'sleep ${PORT}', name: b, ttl: 5}\n  - {cmd: 'sleep ${PORT}', name: c}\n"
REFUSED = (409, b'{"done": false, "said": "Nothing was changed: it refuses."}')
OBEYED = (200, b'{"done": true, "said": "The models were read again."}')


class Run:
    """The run directory of a server whose models' file has changed since, with stand-ins on its two sockets."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self.folder = folder / "run"
        self._stack = stack
        file = folder / "models.yaml"
        file.write_text(BEFORE)
        env = {"VLLM_SHIM_RUN_DIR": str(self.folder), "VLLM_SHIM_LOG": str(folder / "log")}
        render_config.write(start.plan(["serve", "--shim-models", str(file)], env), self.folder)
        file.write_text(AFTER)
        self.before = self.texts()
        self.taken_up: list[str] = []  # supervisord.conf, each time that it was read
        self.removed: list[str] = []

    def texts(self) -> dict[str, str]:
        """Of all files, what stands in them."""
        found = (file for file in self.folder.rglob("*") if file.is_file())
        return {str(file.relative_to(self.folder)): file.read_text() for file in found}

    def supervisord(self, take_up: Callable[[], Any] = lambda: [[["model-c"], [], []]]) -> None:
        server = Supervisord(self.folder)
        server.register_function(os.getpid, "supervisor.getPID")
        server.register_function(lambda: self._take_up(take_up), "supervisor.reloadConfig")
        server.register_function(lambda _: True, "supervisor.addProcessGroup")
        server.register_function(self._remove, "supervisor.removeProcessGroup")
        self._serve(server)

    def _take_up(self, answer: Callable[[], Any]) -> Any:
        self.taken_up.append((self.folder / "supervisord.conf").read_text())
        return [[[], [], ["model-c"]]] if self.taken_up[-1] == self.before["supervisord.conf"] else answer()

    def _remove(self, name: Any) -> bool:
        self.removed.append(name)
        return True

    def middleware(self, status: int, body: bytes) -> None:
        class Answer(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._serve(socketserver.ThreadingUnixStreamServer(str(self.folder / "control.sock"), Answer))

    def _serve(self, server: socketserver.BaseServer) -> None:
        self._stack.enter_context(server)
        threading.Thread(target=server.serve_forever, args=(0.05,)).start()
        self._stack.callback(server.shutdown)

    def reload(self) -> int:
        return main(["reload", "--run-dir", str(self.folder)])


@pytest.fixture
def run() -> Iterator[Run]:
    with tempfile.TemporaryDirectory(prefix="re") as name, contextlib.ExitStack() as stack:  # short, for the sockets
        yield Run(Path(name), stack)


def fails() -> Any:
    raise OSError("it cannot")


def test_a_reload_that_supervisord_refuses_leaves_the_files_as_they_were(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run.supervisord(fails)
    assert run.reload() == 1
    assert ": nothing was read again" in capsys.readouterr().err
    assert run.texts() == run.before


def test_a_reload_that_the_middleware_refuses_leaves_the_files_and_supervisord_as_they_were(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run.supervisord()
    run.middleware(*REFUSED)
    assert run.reload() == 1
    assert capsys.readouterr().err == "vllm-to-sglang: error: Nothing was changed: it refuses.\n"
    assert run.texts() == run.before
    assert len(run.taken_up) == 2
    assert run.taken_up[-1] == run.before["supervisord.conf"]
    assert run.removed == ["model-c"]


def test_a_reload_that_does_not_reach_the_middleware_leaves_the_files_and_supervisord_as_they_were(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run.supervisord()
    assert run.reload() == 1
    assert "the middleware does not run: nothing was read again" in capsys.readouterr().err
    assert run.texts() == run.before
    assert run.taken_up[1:] == [run.before["supervisord.conf"]]
    assert run.removed == ["model-c"]


def test_a_reload_whose_files_cannot_be_written_leaves_them_as_they_were(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    (run.folder / "policy/model-c.json").mkdir()
    run.supervisord()
    assert run.reload() == 1
    assert "model-c.json: it is a folder: nothing was read again" in capsys.readouterr().err
    assert run.texts() == run.before
    assert run.taken_up == []


def test_a_reload_that_may_have_been_heard_leaves_the_new_files_and_says_so(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run.supervisord()
    run.middleware(500, b"Internal Server Error")
    assert run.reload() == 1
    said = capsys.readouterr().err
    assert "whether it read the models again is not known; a restart of it reads the new ones: reload again" in said
    assert '"queue_limit": 7' in run.texts()["models.json"]


def test_files_that_cannot_be_put_back_are_named(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    def in_the_way() -> Any:
        (run.folder / "policy.json").unlink()
        (run.folder / "policy.json/x").mkdir(parents=True)
        return fails()

    run.supervisord(in_the_way)
    assert run.reload() == 1
    said = capsys.readouterr().err
    assert "nothing was read again; a restart may read the new ones" in said
    assert "before-reload: policy.json (it is a folder); mend that and reload again" in said
    run.before["before-reload/policy.json"] = run.before.pop("policy.json")
    assert run.texts() == run.before


def test_a_reload_that_is_done_leaves_the_new_files_and_nothing_else(run: Run) -> None:
    run.supervisord()
    run.middleware(*OBEYED)
    there = {path.name for path in run.folder.iterdir()}
    assert run.reload() == 0
    assert '"queue_limit": 7' in run.texts()["models.json"]
    assert {path.name for path in run.folder.iterdir()} == there
