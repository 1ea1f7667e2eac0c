"""Asks a real SGLang, through the middleware, all that vLLM was asked, and keeps what the two say to each other.

    python -m tests.differential.record [--changed] [--names a,b] [--all | GROUP ...]

--changed asks again only where the middleware now sends what was not recorded, or nothing was recorded at all; requests
that change the state of the server are always sent. Needs `make engine`; a group takes 1 to 15 minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.differential.client import ask
from tests.differential.groups import GROUPS, Group, Prepared, prepare
from tests.differential.replay import BACKGROUND, TOGETHER, ask_locally, meaning, replay
from tests.differential.server import serving
from tests.differential.wire import (
    DROPPED,
    UNSAID,
    Answer,
    Exchange,
    Judged,
    Request,
    exchanges,
    judged,
    write_exchanges,
)
from tests.middleware.serving import Served, middleware, wait_for

PATIENCE = 75.0
LOAD_SECONDS = 180.0
SAVE_EVERY = 25
# Bodies of these are long, and the middleware makes nothing of them that vLLM would judge.
SHORTENED = {"/metrics": 4000, "/openapi.json": 0}
STATEFUL = ("lora_adapter", "/adapters", "/pause", "/resume", "/sleep", "/wake_up", "weight_version")


class Engine:
    """One SGLang process, started again when it has died."""

    def __init__(self, prepared: Prepared, log: Path) -> None:
        self._engine = prepared.plan.engines[0]
        self._env = {**os.environ, **self._engine.env}
        for name in self._engine.unset:
            self._env.pop(name, None)
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self.port = self._engine.port
        self.starts = 0

    def start(self) -> None:
        self.stop()
        self.starts += 1
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._engine.argv,
                env=self._env,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        deadline = time.monotonic() + LOAD_SECONDS
        while self.health() != 200:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"SGLang did not start: see {self._log}")
            time.sleep(0.5)

    def health(self) -> int:
        return ask(self.port, Request("GET", "/health", {}, None), 5.0).status

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None and self.health() == 200

    def stop(self) -> None:
        if self._process is not None:
            for number in (signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._process.pid, number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(15)
            self._process = None


class Recorder:
    """Between the middleware and SGLang: hands everything on, and keeps it under the `current` name."""

    def __init__(self, engine: Engine, prepared: Prepared) -> None:
        self.current = ""
        self.heard: dict[str, list[Exchange]] = {}
        self._engine = engine
        self._prepared = prepared

    def __call__(self, request: Request) -> Answer:
        name = self.current
        answer = ask(self._engine.port, request, PATIENCE)
        if request.path not in BACKGROUND:
            self.heard.setdefault(name, []).append(self._exchange(request, answer))
        return answer

    def _exchange(self, request: Request, answer: Answer) -> Exchange:
        recorded = self._prepared.recorded
        body = answer.body or b""
        if request.path in SHORTENED:
            body = body[: body.rfind(b"\n", 0, SHORTENED[request.path]) + 1]
        headers = {name: value for name, value in answer.headers.items() if name not in UNSAID}
        asked = Request(request.method, request.target, {}, request.body and recorded(request.body))
        return Exchange(asked, Answer(answer.status, headers, recorded(body)))


def record(group: Group, names: Sequence[str] | None) -> None:
    """All of them, or those named and those that change the server's state."""
    entries = judged(group.name)
    stored = exchanges(group.name)
    log = Path(tempfile.gettempdir()) / f"differential-{group.name}.log"
    with _recording(group, log) as (recorder, engine, prepared, front):
        kept = dict(stored)
        if names is None:
            kept = {}
        for count, (name, entry) in enumerate(entries.items(), 1):
            wanted = name not in TOGETHER and (names is None or name in names)
            if not wanted and not any(word in entry.request.target for word in STATEFUL):
                continue
            recorder.current = name
            began = time.monotonic()
            status = ask_locally(prepared, front.port, entry.request, PATIENCE).status
            seconds = time.monotonic() - began
            recorder.current = ""
            heard = recorder.heard.pop(name, [])
            if wanted:
                kept[name] = heard
            note = f"{status} {seconds:.1f} s, {len(heard)} exchanges"
            print(f"{group.name} {count}/{len(entries)} {name}: {note}", flush=True)
            if status == DROPPED or any(e.answer.status == DROPPED for e in heard):
                time.sleep(3)  # a scheduler that dies takes its server with it, a little later
            if not engine.alive():
                print(f"{group.name} {name}: SGLang died of it, and is started again", flush=True)
                engine.start()
                wait_for(lambda: front.get("/health").status_code == 200, "the middleware sees the engine")
            if count % SAVE_EVERY == 0:
                _save(group, entries, kept, recorder)
        if names == [""]:
            time.sleep(2)  # what the middleware asks at its start
        _save(group, entries, kept, recorder)


def _save(group: Group, entries: Mapping[str, Judged], found: Mapping[str, list[Exchange]], recorder: Recorder) -> None:
    """In vLLM's order, so that two recordings can be compared; what belongs to no request comes first."""
    own = {meaning(e.request): e for e in (*found.get("", ()), *recorder.heard.get("", ()))}
    write_exchanges(group.name, {"": own.values(), **{name: found[name] for name in entries if found.get(name)}})


@contextlib.contextmanager
def _recording(group: Group, log: Path) -> Iterator[tuple[Recorder, Engine, Prepared, Served]]:
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        prepared = prepare(group, Path(folder))
        engine = Engine(prepared, log)
        stack.callback(engine.stop)
        engine.start()
        recorder = Recorder(engine, prepared)
        port = stack.enter_context(serving(recorder))
        front = stack.enter_context(middleware(port, **prepared.middleware_settings()))
        yield recorder, engine, prepared, front


def changed(group: Group) -> list[str]:
    """With "" among them if the middleware asks what it had not asked for itself."""
    replayed = replay(group)
    return [name for name in ("", *replayed.entries) if name in replayed.problems or name in replayed.left_over]


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"of {', '.join(GROUPS)} (default: all)")
    parser.add_argument("--changed", action="store_true", help="only where the middleware sends something else now")
    parser.add_argument("--names", type=lambda text: text.split(","), help="only these, comma separated")
    options = parser.parse_args(argv)
    for name in options.groups or GROUPS:
        group = GROUPS[name]
        names = options.names
        if options.changed:
            names = changed(group)
            if "" in names:  # all else may follow from what it learns there
                record(group, [""])
                names = changed(group)
            print(f"{name}: {len(names)} to record: {', '.join(names)}", flush=True)
        elif names is not None:
            names = [one for one in names if one in judged(name)]
        if names is None or names:
            record(group, names)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
