"""The stand-in that repeats what SGLang was recorded to answer, and the run of a whole group against it.
Used by the test and by the report.
"""

from __future__ import annotations

import json
import re
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.differential.client import ask
from tests.differential.groups import Group, Prepared, prepare
from tests.differential.server import serving
from tests.differential.wire import DROPPED, Answer, Exchange, Judged, Request, exchanges, judged
from tests.middleware.serving import middleware

PATIENCE = 20.0
UNKNOWN = 599
# What one request learns another need not ask again: the middleware may remember it.
TIMELESS = frozenset({"/tokenize", "/detokenize", "/v1/tokenize", "/v1/detokenize"})
# What SGLang knows a request by: made up anew each time.
IDS = ("rid", "request_id")
# What it knows an adapter by, with a number that is made up anew.
ADAPTER_IDS = ("lora_name", "lora_path")
NUMBER = re.compile(r"#\d{9,}(?=\")")
# Asked while nobody waits, so that it belongs to no request.
BACKGROUND = frozenset({"/health", "/metrics", "/ready", "/unload_lora_adapter"})

# Requests that say something only beside another one that runs at the same time.
TOGETHER = {
    "v_aborted": "it runs until another request aborts it",
    "v_aborted_stream": "it runs until another request aborts it",
    "v_pause_abort_victim": "it runs until another request pauses the engine",
}


class Repeater:
    """`current` is the name under which the client's request was recorded."""

    def __init__(self, recorded: Mapping[str, list[Exchange]]) -> None:
        self.current = ""
        self.problems: dict[str, str] = {}
        self._recorded = {name: [(meaning(e.request), e) for e in found] for name, found in recorded.items()}
        self._repeatable = {key: e for found in self._recorded.values() for key, e in found if _repeats(e.request)}
        self._used: set[int] = set()
        self._lock = threading.Lock()

    def __call__(self, request: Request) -> Answer:
        if request.path in BACKGROUND:
            return Answer(200, {}, b"")
        with self._lock:
            exchange = self._find(request)
            if exchange is None:
                return self._unknown(request)
            self._used.add(id(exchange))
        answer = exchange.answer
        body = answer.body or b""
        for recorded, sent in zip(rids(exchange.request), rids(request), strict=False):
            body = body.replace(recorded.encode(), sent.encode())
        return Answer(answer.status, answer.headers, body)

    def left_over(self, name: str) -> list[Exchange]:
        """What was asked for once and is not any more."""
        found = (e for _, e in self._recorded.get(name, ()))
        return [e for e in found if id(e) not in self._used and not _repeats(e.request)]

    def _find(self, request: Request) -> Exchange | None:
        wanted = meaning(request)
        for key, exchange in self._recorded.get(self.current, ()):
            # A connection that closes at once may have been stale: the middleware sends again, and must find the same.
            if key == wanted and (id(exchange) not in self._used or exchange.answer.status == DROPPED):
                return exchange
        return self._repeatable.get(wanted) if _repeats(request) else None

    def _unknown(self, request: Request) -> Answer:
        sent = f"{request.method} {request.target} {(request.body or b'').decode(errors='replace')}"
        before = [e.request for _, e in self._recorded.get(self.current, ())]
        recorded = "; ".join(f"{r.method} {r.target} {(r.body or b'').decode(errors='replace')}" for r in before)
        text = (
            f"{self.current or 'no request'}: SGLang was not recorded with what the middleware sends now: {sent[:2000]}"
            f" -- recorded: {recorded[:2000] or 'nothing'} -- run: python -m tests.differential.record --changed"
        )
        self.problems[self.current] = text
        return Answer(UNKNOWN, {"content-type": "text/plain"}, text.encode())


def meaning(request: Request) -> tuple[str, str, Any]:
    """What must be equal for two requests to SGLang to be the same."""
    body: Any = request.document
    if body is None:
        return request.method, request.target, request.body or b""
    if isinstance(body, dict):
        body = {name: value for name, value in body.items() if name not in IDS}
    return request.method, request.target, NUMBER.sub("#", json.dumps(body, sort_keys=True))


def _repeats(request: Request) -> bool:
    """What may be asked at any time, and any number of times."""
    return request.method == "GET" or request.path in TIMELESS


def rids(request: Request) -> list[str]:
    body = request.document
    if not isinstance(body, dict):
        return []
    rid = next((body[name] for name in IDS if name in body), None)
    found = [rid] if isinstance(rid, str) else [one for one in rid or () if isinstance(one, str)]
    named = [body[name] for name in ADAPTER_IDS if isinstance(body.get(name), str)]
    return [*found, *(one for one in named if NUMBER.search(f'{one}"'))]


@dataclass(slots=True)
class Replayed:
    """What the middleware answered under each name; `problems` are requests that SGLang was never recorded with."""

    entries: dict[str, Judged]
    answers: dict[str, Answer] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    left_over: dict[str, list[Exchange]] = field(default_factory=dict)


def replay(group: Group) -> Replayed:
    entries = {name: entry for name, entry in judged(group.name).items() if name not in TOGETHER}
    repeater = Repeater(exchanges(group.name))
    replayed = Replayed(entries, problems=repeater.problems)
    with tempfile.TemporaryDirectory() as folder:
        prepared = prepare(group, Path(folder))

        def answering(request: Request) -> Answer:
            heard = Request(request.method, request.target, {}, _changed(request.body, prepared.recorded))
            answer = repeater(heard)
            return Answer(answer.status, answer.headers, _changed(answer.body, prepared.local))

        with serving(answering) as port, middleware(port, **prepared.middleware_settings()) as front:
            for name, entry in entries.items():
                repeater.current = name
                replayed.answers[name] = ask_locally(prepared, front.port, entry.request, PATIENCE)
                if left := repeater.left_over(name):
                    replayed.left_over[name] = left
            repeater.current = ""
    return replayed


def ask_locally(prepared: Prepared, port: int, request: Request, seconds: float) -> Answer:
    """Both with the recordings' paths."""
    body = _changed(request.body, prepared.local)
    answer = ask(port, Request(request.method, request.target, request.headers, body), seconds)
    headers = {name: value.replace(f"127.0.0.1:{port}", "HOST") for name, value in answer.headers.items()}
    return Answer(answer.status, headers, _changed(answer.body, prepared.recorded))


def _changed(data: bytes | None, change: Any) -> bytes | None:
    return None if data is None else change(data)
