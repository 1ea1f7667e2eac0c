"""The document of `inside` as one screen of text for a person, no wider than a terminal.
`status` prints it; what a client or a log may have put into it can do nothing to the terminal.
"""

from __future__ import annotations

import textwrap
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from shims.actions import WORDS

WIDTH = 100
DAY = "%Y-%m-%d %H:%M"
RECENT_DEATHS = 5
GIVEN = 25  # flags that are shown one a line

Part = Mapping[str, Any]


def text(document: Part) -> str:
    now = document["at"]
    lines = [_head(document), *(f"  - {problem}" for problem in document["problems"])]
    for title, body in (
        ("programs", _programs(document, now)),
        ("engine", _engine(document, now)),
        ("requests", _requests(document)),
        ("command line", _given(document)),
        ("recent errors", _errors(document, now)),
        ("recent deaths", _deaths(document, now)),
    ):
        lines += ["", title, *(f"  {line}" for line in body)]
    return "".join(f"{line}\n" for one in lines for line in _wrapped(one))


def _head(document: Part) -> str:
    plan = document["plan"] or {}
    between = ", " if plan.get("members") else " = "
    models, port = between.join(plan.get("models") or ["?"]), (plan.get("ports") or {}).get("public", "?")
    return f"{'READY' if document['ready'] else 'NOT READY'}: {models} on port {port}, run from {document['run_dir']}"


def _programs(document: Part, now: float) -> Iterator[str]:
    if document["programs"] is None:
        yield _unknown(document, "programs")
        return
    rows = [["", "state", "pid", "up since", "restarts", "last death"]]
    began = (document["state"] or {}).get("started")
    rows.append(["supervisord", "RUNNING", str(document["supervisord"]["pid"]), _since(began, now), "-", "-"])
    for one in document["programs"]:
        death = one["last_death"]
        rows.append(
            [
                one["name"],
                one["state"],
                str(one["pid"] or "-"),
                _since(one["since"], now),
                "?" if one["restarts"] is None else str(one["restarts"]),
                f"{_clock(death['at'], now)} {death['how']}" if death else "-",
            ]
        )
    yield from _table(rows)


def _engine(document: Part, now: float) -> Iterator[str]:
    if document["middleware"] is None:
        yield _unknown(document, "middleware")
    else:
        engine = document["middleware"]["engine"]
        phase = f", phase {engine['phase']}" if engine["phase"] else ""
        took = document["engine_start_seconds"]
        yield (
            f"{engine['state']}{phase} since {_since(engine['since'], now)}"
            + (f"; its start took {_span(took)}" if took is not None else "")
        )
        if engine["stalled_seconds"]:
            yield f"STALLED: no token for {_span(engine['stalled_seconds'])} while requests ran or waited"
    state = document["state"] or {}
    if peak := state.get("peak_memory_bytes"):
        limit, kills = state.get("memory_limit_bytes"), state.get("oom_kills")
        of = f" of {_size(limit)}" if limit else ""
        yield f"memory of the container: at most {_size(peak)}{of}" + (f"; OOM kills: {kills}" if kills else "")


def _requests(document: Part) -> Iterator[str]:
    if (told := document["middleware"]) is None:
        yield _unknown(document, "middleware")
        return
    requests = told["requests"]
    split = ""
    if (choices := requests.get("choices", requests["in_flight"])) != requests["in_flight"]:
        split = f" for {choices} choices"
    if requests["running"] is not None:
        split += f": {requests['running']} run, {requests['waiting']} wait"
    yield f"{requests['in_flight']} with the engine{split}; counted since {_clock(told['since'], document['at'])}:"
    for name in ("rewritten", "refused", "failed"):
        counts = told[name]
        reasons = ", ".join(f"{reason} {number}" for reason, number in counts.items())
        yield f"{name:<9} {sum(counts.values())}" + (f" ({reasons})" if counts else "")
    if told["faults"]:
        yield f"faults of the middleware's: {told['faults']}; its log has the tracebacks"


def _given(document: Part) -> Iterator[str]:
    if (plan := document["plan"]) is None:
        yield _unknown(document, "plan")
        return
    decisions = plan.get("decisions") or []
    flags = [one for one in decisions if one["kind"] == "flag"]
    rows = [[_word(one), WORDS.get(one["action"], one["action"]), one["target"]] for one in flags[:GIVEN]]
    yield from _table(rows)
    if flags[GIVEN:]:
        yield f"and {len(flags) - GIVEN} flags more (--json)"
    variables = ", ".join(
        f"{one['name']} {WORDS.get(one['action'], one['action'])}" for one in decisions if one not in flags
    )
    if variables:
        yield f"variables: {variables}"
    yield from (f"WARNING: {warning}" for warning in plan.get("warnings") or ())


def _word(decision: Part) -> str:
    return decision["name"] if decision["value"] is None else f"{decision['name']} {decision['value']}"


def _errors(document: Part, now: float) -> Iterator[str]:
    if (told := document["middleware"]) is None:
        yield _unknown(document, "middleware")
        return
    rows = [
        [
            _clock(one["at"], now),
            str(one["status"]),
            f"{one['method']} {one['path']}",
            one["request"],
            one["why"]
            + (f" ({one['times']} times)" if one["times"] > 1 else "")
            + (f"; X-Request-Id {one['client_request']}" if one["client_request"] else ""),
        ]
        for one in told["recent_errors"]
    ]
    yield from _table(rows) if rows else ("none",)


def _deaths(document: Part, now: float) -> Iterator[str]:
    if (state := document["state"]) is None:
        yield _unknown(document, "state")
        return
    lives = (state.get("programs") or {}).items()
    deaths = sorted(
        ((death["at"], name, death) for name, life in lives for death in life["deaths"]), key=lambda d: d[0]
    )
    for at, name, death in deaths[-RECENT_DEATHS:]:
        phase = f" ({death['phase']})" if death["phase"] else ""
        yield ": ".join(filter(None, (f"{_clock(at, now)} {name}{phase}", death["how"], death["why"])))
    if (ended := state.get("ended")) is not None:
        yield f"the server ended at {_clock(ended['at'], now)} with exit code {ended['code']}: {ended['why']}"
    elif not deaths:
        yield "none"


def _unknown(document: Part, part: str) -> str:
    """A rank without a front door has no middleware, and nobody is missing."""
    return f"not known: {document['unknown'][part]}" if part in document["unknown"] else "none here: a worker rank"


def _table(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    widths = [min(38, max(len(row[at]) for row in rows)) for at in range(len(rows[0]))] if rows else []
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False))
        line = "  ".join((*cells, row[-1])).rstrip()
        yield line if len(line) <= WIDTH - 2 else f"{line[: WIDTH - 3]}…"


def plain(line: str) -> str:
    """What a terminal only shows."""
    return "".join(character if character.isprintable() else "?" for character in line)


def _wrapped(line: str) -> list[str]:
    return textwrap.wrap(plain(line), WIDTH, subsequent_indent="      ", break_on_hyphens=False) or [""]


def _clock(at: float, now: float) -> str:
    """In the machine's own time; with the day, if that is another."""
    try:
        there, here = time.localtime(at), time.localtime(now)
        return time.strftime("%H:%M:%S" if there[:3] == here[:3] else DAY, there)
    except (OverflowError, OSError, ValueError):  # no time of any calendar: a file that somebody has changed
        return "?"


def _since(at: float | None, now: float) -> str:
    return f"{_clock(at, now)} ({_span(now - at)})" if at else "-"


def _span(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def _size(number: float) -> str:
    return f"{number / 1024**3:.1f} GiB"
