"""The one document that says how a server is: supervisord's part, the middleware's, the plan's and the deaths'.
`middleware.control` answers with it, and `status` makes it itself where the middleware cannot.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from operate import records, run_dir, supervisord
from operate.control import THE_MIDDLEWARE
from operate.sockets import why
from supervision import haproxy_socket

Part = Mapping[str, Any]
FRONT = ("middleware", "haproxy")
ENGINE = "sglang"
HAPROXY = "haproxy.sock"
HAPROXY_SECONDS = 1.0


def document(folder: Path, middleware: Part | None, silence: str = "") -> dict[str, Any]:
    """Parts that cannot be learned are null, and `unknown` says why; `problems` says why it is not ready."""
    unknown: dict[str, str] = {}
    if trouble := run_dir.trouble(folder):
        unknown = dict.fromkeys(("programs", "plan", "state"), trouble)
        parts: dict[str, Any] = dict.fromkeys((*unknown, "supervisord"))
    else:
        parts = _parts(folder, unknown)
    # A rank that has no front door has no middleware to ask.
    expected = (parts["plan"] or {}).get("programs") or [ENGINE, *FRONT]
    if middleware is None and FRONT[0] in expected:
        unknown["middleware"] = trouble or _silence(parts["programs"], silence)
    problems = (
        [trouble] if trouble else [*_problems(parts, middleware, unknown, expected), *_door(folder, parts["programs"])]
    )
    return {
        "version": 1,
        "at": time.time(),
        "run_dir": str(folder),
        "ready": not problems,
        "problems": problems,
        **parts,
        "engine_start_seconds": _start_seconds(parts["programs"], middleware),
        "middleware": middleware,
        "unknown": unknown,
    }


def _parts(folder: Path, unknown: dict[str, str]) -> dict[str, Any]:
    def ask(name: str, what: Callable[[], Any]) -> Any:
        try:
            return what()
        except (records.Unknown, supervisord.Silent) as error:
            unknown[name] = str(error)
            return None

    plan = ask("plan", lambda: records.plan(folder))
    log_dir = (plan or {}).get("log_dir")
    state = ask("state", lambda: records.state(Path(log_dir) if isinstance(log_dir, str) else folder / "log"))
    pid, programs = ask("programs", lambda: supervisord.programs(folder)) or (None, None)
    for program in programs or ():
        life = ((state or {}).get("programs") or {}).get(program["name"]) or {}
        program["restarts"] = life.get("restarts", 0) if state is not None else None
        program["last_death"] = next(reversed(life.get("deaths") or []), None)
    return {
        "supervisord": pid and {"pid": pid},
        "programs": programs
        and sorted(programs, key=lambda one: one["name"] in FRONT and 1 + FRONT.index(one["name"])),
        "plan": plan,
        "state": state,
    }


def _problems(parts: Part, middleware: Part | None, unknown: Mapping[str, str], expected: list[str]) -> Iterator[str]:
    if parts["programs"] is None:
        yield unknown["programs"]
    # One of several models is stopped while others have their turn; what is wrong with it the switcher says.
    members = (parts["plan"] or {}).get("members") or ()
    for program in parts["programs"] or ():
        if program["state"] not in supervisord.UP and program["name"] not in members:
            yield ": ".join(filter(None, (f"{program['name']} is {program['state']}", program["said"])))
    if parts["programs"] is not None:
        there = {program["name"] for program in parts["programs"]}
        yield from (f"{name} is not among supervisord's programs" for name in expected if name not in there)
    if middleware is None:
        if "middleware" in unknown:
            yield unknown["middleware"]
        return
    engine = middleware["engine"]
    if not engine["admits"]:
        phase = f" (phase: {engine['phase']})" if engine["phase"] else ""
        yield f"the engine is {engine['state']}{phase}: {engine['why']}"
    if engine["stalled_seconds"]:
        yield f"the engine is stalled: no token for {engine['stalled_seconds']:.0f} s while requests ran or waited"


def _door(folder: Path, programs: list[dict[str, Any]] | None) -> Iterator[str]:
    """haproxy may hang, and supervisord knows nothing of it."""
    if not any(one["name"] == FRONT[1] and one["state"] in supervisord.UP for one in programs or ()):
        return
    try:
        if not haproxy_socket.ask(folder / HAPROXY, b"show info\n", HAPROXY_SECONDS):
            yield "haproxy gives no answer on its socket"
    except OSError as error:
        yield why(error, "haproxy", HAPROXY_SECONDS)


def silence(folder: Path, said: str) -> str:
    """Why the middleware says nothing, as far as supervisord knows more of it than its socket does."""
    try:
        return _silence(supervisord.programs(folder)[1], said)
    except supervisord.Silent:
        return said


def _silence(programs: list[dict[str, Any]] | None, said: str) -> str:
    is_up = any(one["name"] == FRONT[0] and one["state"] in supervisord.UP for one in programs or ())
    if is_up and said == f"{THE_MIDDLEWARE} does not run":
        return f"{THE_MIDDLEWARE} runs, and its control socket does not answer: its log says why"
    return said


def _start_seconds(programs: list[dict[str, Any]] | None, middleware: Part | None) -> float | None:
    """How long the engine that runs took from its process to its first request, if the middleware has seen that."""
    began = next((one["since"] for one in programs or () if one["name"] == ENGINE), None)
    ready = middleware["engine"]["started"] if middleware is not None else None
    return round(ready - began, 1) if began and ready and ready >= began else None
