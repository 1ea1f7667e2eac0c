"""Requests and answers as data, and the files of recordings that hold them, one JSON object a line.
Used by all of the differential test; paths of this machine stand in no file.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "recordings"
DROPPED = 0  # in place of a status: the connection ended without an answer
UNSAID = frozenset({"date", "server", "content-length", "connection", "keep-alive"})  # of the connection, or the clock


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes | None

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def document(self) -> Any:
        """The body's JSON; None if it is none."""
        return decoded(self.body)


@dataclass(frozen=True, slots=True)
class Answer:
    """A `body` of None was too large to keep: it is not compared."""

    status: int
    headers: Mapping[str, str]
    body: bytes | None

    @property
    def kind(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True)
class Exchange:
    request: Request
    answer: Answer


@dataclass(frozen=True, slots=True)
class Judged:
    """What vLLM was asked under a name, and what it said."""

    name: str
    request: Request
    answer: Answer


def decoded(body: bytes | None) -> Any:
    try:
        return json.loads(body) if body else None
    except ValueError:
        return None


def judged(group: str) -> dict[str, Judged]:
    """In the order in which they were asked: some change the state of the server."""
    found = {}
    for line in _lines(FOLDER / f"vllm.{group}.jsonl"):
        found[line["name"]] = Judged(line["name"], request_from(line["request"]), answer_from(line["answer"]))
    return found


def write_judged(group: str, entries: Iterable[Judged]) -> None:
    _write(
        FOLDER / f"vllm.{group}.jsonl",
        ({"name": e.name, "request": request_to(e.request), "answer": answer_to(e.answer)} for e in entries),
    )


def exchanges(group: str) -> dict[str, list[Exchange]]:
    """What SGLang was asked and said under each name; under "" what belongs to none."""
    return {
        line["name"]: [Exchange(request_from(one["request"]), answer_from(one["answer"])) for one in line["exchanges"]]
        for line in _lines(FOLDER / f"sglang.{group}.jsonl")
    }


def write_exchanges(group: str, entries: Mapping[str, Iterable[Exchange]]) -> None:
    _write(
        FOLDER / f"sglang.{group}.jsonl",
        (
            {
                "name": name,
                "exchanges": [{"request": request_to(e.request), "answer": answer_to(e.answer)} for e in found],
            }
            for name, found in entries.items()
        ),
    )


def request_from(data: Mapping[str, Any]) -> Request:
    return Request(data["method"], data["target"], data.get("headers", {}), _body_from(data))


def request_to(request: Request) -> dict[str, Any]:
    data: dict[str, Any] = {"method": request.method, "target": request.target}
    if request.headers:
        data["headers"] = dict(request.headers)
    return {**data, **_body_to(request.body)}


def answer_from(data: Mapping[str, Any]) -> Answer:
    return Answer(data["status"], data.get("headers", {}), None if data.get("cut") else _body_from(data) or b"")


def answer_to(answer: Answer) -> dict[str, Any]:
    headers = {name: value for name, value in answer.headers.items() if name not in UNSAID}
    body = {"cut": True} if answer.body is None else _body_to(answer.body)
    return {"status": answer.status, "headers": headers, **body}


def _body_from(data: Mapping[str, Any]) -> bytes | None:
    if "json" in data:
        return json.dumps(data["json"]).encode()
    if "text" in data:
        return str(data["text"]).encode("utf-8", "surrogatepass")
    return base64.b64decode(data["base64"]) if "base64" in data else None


def _body_to(body: bytes | None) -> dict[str, Any]:
    """JSON as JSON only if nothing of it is lost: neither its bytes' meaning nor what is no JSON about it."""
    if body is None:
        return {}
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(body).decode()}
    if body[:1] in (b"{", b"[") and _survives(text):
        return {"json": json.loads(text)}
    return {"text": text}


def _survives(text: str) -> bool:
    try:
        document = json.loads(text)
        json.dumps(document, allow_nan=False).encode()
        return text in (json.dumps(document), json.dumps(document, ensure_ascii=False, separators=(",", ":")))
    except ValueError:
        return False


def _lines(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def _write(path: Path, documents: Iterable[Mapping[str, Any]]) -> None:
    """Whole or not at all: the recorder writes often, and may be stopped at any time."""
    fresh = path.with_suffix(".fresh")
    with fresh.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(doc, ensure_ascii=False, separators=(",", ":")) + "\n" for doc in documents)
    fresh.replace(path)
