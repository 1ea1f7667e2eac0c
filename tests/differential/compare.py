"""Compares an answer of ours with vLLM's: status, headers, and the shape of the body or of the stream.
Used by the test and by the report.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.differential.difference import Difference
from tests.differential.shapes import differences, form, shape_of
from tests.differential.stream import events, labelled, sequences
from tests.differential.wire import DROPPED, UNSAID, Answer, Judged

STREAM = "text/event-stream"
# Of the connection: they follow from how the body is sent.
NOT_COMPARED = UNSAID | {"transfer-encoding"}
# Nothing in these answers is the model's.
EXACT_PATHS = ("/tokenize", "/detokenize", "/tokenizer_info")


def compare(entry: Judged, ours: Answer) -> list[Difference]:
    return sorted({Difference(entry.name, *found) for found in _found(entry, ours)})


def _found(entry: Judged, ours: Answer) -> Iterator[tuple[str, str, str, str]]:
    theirs = entry.answer
    if ours.status != theirs.status:
        # All else follows from it.
        told = "no answer" if ours.status == DROPPED else str(ours.status)
        yield "status", "status", told, str(theirs.status)
        return
    yield from _headers(ours, theirs)
    if theirs.body is None or ours.body is None:
        return
    if ours.kind != theirs.kind:
        return  # the header said it
    if theirs.kind == STREAM:
        yield from _streams(ours.body, theirs.body)
    elif theirs.kind == "application/json" and theirs.body:
        yield from _documents(ours.body, theirs.body, exact=entry.request.path in EXACT_PATHS)
    elif theirs.kind in ("", "text/plain") and ours.body != theirs.body:
        yield "body", "value", _text(ours.body), _text(theirs.body)


def _headers(ours: Answer, theirs: Answer) -> Iterator[tuple[str, str, str, str]]:
    for name in sorted({*ours.headers, *theirs.headers} - NOT_COMPARED):
        mine, other = ours.headers.get(name), theirs.headers.get(name)
        if mine is None or other is None:
            yield f"header {name}", "missing" if mine is None else "extra", mine or "-", other or "-"
        elif _header(name, mine) != _header(name, other):
            yield f"header {name}", "value", mine, other


def _header(name: str, value: str) -> object:
    if name == "allow":
        return sorted(word.strip() for word in value.split(","))
    if name == "location":
        scheme, _, rest = value.partition("://")
        return scheme, rest.partition("/")[2]
    return form(value)


def _documents(ours: bytes, theirs: bytes, *, exact: bool) -> Iterator[tuple[str, str, str, str]]:
    try:
        mine = json.loads(ours)
    except ValueError:
        yield "$", "type", "no JSON", "JSON"
        return
    yield from differences(shape_of([mine], exact=exact), shape_of([json.loads(theirs)], exact=exact))


def _streams(ours: bytes, theirs: bytes) -> Iterator[tuple[str, str, str, str]]:
    mine, other = events(ours), events(theirs)
    rows, others = sequences(mine), sequences(other)
    for key in sorted({*rows, *others}):
        if rows.get(key) != others.get(key):
            yield "stream" + key, "sequence", _row(rows.get(key)), _row(others.get(key))
    chunks, their_chunks = labelled(mine), labelled(other)
    for label in sorted({*chunks} & {*their_chunks}):
        yield from differences(shape_of(chunks[label]), shape_of(their_chunks[label]), f"<{label}>")


def _row(labels: list[str] | None) -> str:
    return " ".join(labels or ("-",))


def _text(body: bytes) -> str:
    return body[:200].decode(errors="replace") or "empty"
