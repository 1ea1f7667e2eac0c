"""VLLM_SHIM_DUMP_ERRORS: what stands in errors.log, and what never does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from middleware.errors_log import BACKUPS, LONGEST_BODY, LONGEST_MESSAGE, MAX_BYTES, Text
from middleware.masking import Mask
from middleware.policy import Policy
from tests.middleware.endpoints.sglang import Sglang, behind
from tests.middleware.metrics.answers import CHATS, GENERATE, chat_chunks, stream
from tests.middleware.serving import Served, middleware, wait_for

SECRET = "Rumpelstiltskin"
KEY = "sk-0123\"'é"
GIVEN = {"x-shim-request-id": "0123456789abcdef"}
JSON = {"content-type": "application/json"}
CHAT = {"model": "smollm2-135m", "messages": [{"role": "user", "content": SECRET}], "best_of": 1}


class Dump:
    def __init__(self, path: Path, front: Served) -> None:
        self.path = path
        self.front = front

    def records(self, count: int) -> list[dict[str, Any]]:
        wait_for(lambda: self.path.read_bytes().count(b"\n") >= count, f"{count} records")
        found = [json.loads(line) for line in self.path.read_text().splitlines()]
        assert len(found) == count
        return found

    def chat(self, told: str = "", **more: Any) -> Any:
        headers = {"x-standin": told} if told else {}
        return self.front.post("/v1/chat/completions?key=q-1", json={**CHAT, **more}, headers=headers)


@pytest.fixture
def dump(engine: Served, tmp_path: Path) -> Iterator[Dump]:
    path = tmp_path / "errors.log"
    policy = Policy(errors_log=str(path), max_request_body_bytes=3_000_000)
    with middleware(engine.port, policy=policy) as front:
        yield Dump(path, front)


def test_a_request_that_sglang_refuses_is_written_with_both_its_bodies(dump: Dump) -> None:
    assert dump.chat("status=400").status_code == 400
    [record] = dump.records(1)
    assert list(record) == ["time", "id", "method", "path", "status", "message", "request", "to_sglang"]
    assert (record["method"], record["path"], record["status"]) == ("POST", "/v1/chat/completions", 400)
    assert record["message"] == "the stand-in says 400"
    assert json.loads(record["request"]["text"]) == CHAT
    sent = json.loads(record["to_sglang"]["text"])
    assert sent["rid"] == f"chatcmpl-{record['id']}"
    assert "best_of" not in sent
    assert not record["request"]["cut"]
    assert dump.path.stat().st_mode & 0o777 == 0o600


def test_what_never_reached_sglang_has_one_body_and_what_went_well_none(dump: Dump) -> None:
    assert dump.chat().status_code == 200
    assert dump.chat(stream=True).status_code == 200
    assert dump.chat(n="many").status_code == 400
    assert dump.front.post("/v1/chat/completions", content=b'{"messages": "\xff', headers=JSON).status_code == 400
    assert dump.front.get("/nowhere").status_code == 404
    refused, unread, unknown = dump.records(3)
    assert refused["to_sglang"] is unread["to_sglang"] is unknown["to_sglang"] is None
    assert SECRET in refused["request"]["text"]
    assert refused["message"]
    assert unread["request"] == {"text": '{"messages": "\N{REPLACEMENT CHARACTER}', "bytes": 15, "cut": False}
    assert (unknown["message"], unknown["request"]["bytes"]) == ("Not Found", 0)


def test_an_answer_that_is_cut_short_is_written_too(dump: Dump) -> None:
    assert dump.chat("cut-after=2", stream=True).status_code == 200
    assert dump.chat("drop").status_code == 502
    cut, dropped = dump.records(2)
    assert (cut["status"], cut["message"]) == (200, "The engine failed before the answer was finished. Please retry.")
    assert dropped["status"] == 502
    assert SECRET in cut["to_sglang"]["text"]


def test_an_error_that_is_told_inside_a_stream_is_written(tmp_path: Path) -> None:
    path = tmp_path / "errors.log"
    failure = {"error": {"message": "no", "type": "InternalServerError", "code": 500}}
    full = {"error": {"message": "The request queue is full.", "type": "x", "code": 503}}
    engine = Sglang({CHATS: stream(*chat_chunks("stop")[:2], failure), GENERATE: stream(failure)})
    with behind(engine, policy=Policy(errors_log=str(path))) as front:
        assert front.post(CHATS, json={**CHAT, "stream": True}).status_code == 200
        assert front.post(GENERATE, json={"text": SECRET, "stream": True}).status_code == 200
        engine.answers[CHATS] = stream(full)
        assert front.post(CHATS, json={**CHAT, "stream": True}).status_code == 200
        told, native, turned_away = Dump(path, front).records(3)
    for record in (told, native):
        assert (record["status"], record["message"]) == (200, "The engine told an error in the middle of its answer.")
        assert SECRET in record["to_sglang"]["text"]
    assert turned_away["message"] == "The engine's queue was full."


def test_all_of_a_batch_has_the_id_of_the_request(tmp_path: Path) -> None:
    path = tmp_path / "errors.log"
    engine = Sglang({CHATS: (500, {"error": {"message": "no"}})})
    with behind(engine, policy=Policy(errors_log=str(path))) as front:
        for given in ({}, {"request_id": "two\nlines"}):
            front.post(f"{CHATS}/batch", json={**CHAT, **given, "messages": [CHAT["messages"]] * 3}, headers=GIVEN)
        first, second = Dump(path, front).records(2)
    assert first["id"] == second["id"] == "0123456789abcdef"
    rids = [body["rid"] for body in engine.of(CHATS)]
    assert len(rids) == 6
    assert len(set(rids[:3])) == len(set(rids[3:])) == 3
    assert all(rid.endswith("-0123456789abcdef") for rid in rids)


@pytest.mark.parametrize("at", range(LONGEST_BODY - 12, LONGEST_BODY + 1))
def test_no_piece_of_a_key_is_left_at_the_edge_of_a_body(at: int) -> None:
    text = Text(Mask([KEY]).longest)
    before = b"x" * at + KEY.encode()
    for piece in (before, b"y" * LONGEST_BODY):
        text.add(piece)
    told = str(text.told(Mask([KEY]))["text"])
    assert "sk" not in told
    assert set(told) <= set("xy*")
    assert len(told) <= LONGEST_BODY + len("***")


def test_no_piece_of_a_key_is_left_at_the_edge_of_a_message(tmp_path: Path) -> None:
    path = tmp_path / "errors.log"
    said = "x" * (LONGEST_MESSAGE - 4) + KEY
    engine = Sglang({GENERATE: (500, {"error": {"message": said}})})
    with behind(engine, policy=Policy(errors_log=str(path)), api_keys=(KEY,)) as front:
        headers = {"authorization": f"Bearer {KEY}".encode(), "x-request-id": "0"}
        front.post(GENERATE, json={"text": "a"}, headers=headers)
        front.get(f"/v1/models/{KEY}", headers=headers)
        refused, unknown = Dump(path, front).records(2)
    assert refused["message"].lstrip("x") == "***"
    assert unknown["path"] == "/v1/models/***"


def test_long_bodies_are_cut_and_say_so(dump: Dump) -> None:
    long = "é" * LONGEST_BODY
    assert dump.chat("status=500", messages=[{"role": "user", "content": long}]).status_code == 500
    too_long = b'{"prompt": "' + b"x" * 3_000_000 + b'"}'
    assert dump.front.post("/v1/completions", content=too_long, headers=JSON).status_code == 413
    cut, refused = dump.records(2)
    for body in (cut["request"], cut["to_sglang"]):
        assert body["cut"]
        assert body["bytes"] > len(body["text"].encode()) - 3 > LONGEST_BODY - 10
    assert refused["request"]["bytes"] <= 3_000_012


def test_neither_keys_nor_headers_nor_queries_are_in_it(engine: Served, tmp_path: Path) -> None:
    path = tmp_path / "errors.log"
    with middleware(engine.port, policy=Policy(errors_log=str(path)), api_keys=(KEY,)) as front:
        given = {"authorization": f"Bearer {KEY}".encode(), "x-standin": "status=400"}
        assert front.post("/v1/chat/completions?k=q-1", json={**CHAT, "user": KEY}, headers=given).status_code == 400
        assert (
            front.post("/v1/chat/completions", json=CHAT, headers={"authorization": "Bearer sk-9"}).status_code == 401
        )
        refused, unknown = Dump(path, front).records(2)
        assert json.loads(refused["request"]["text"])["user"] == "***"
        assert unknown["request"]["bytes"] == 0, "nobody has read it"
        text = path.read_text()
    for secret in ("sk-", "q-1", "Bearer", "uthorization"):
        assert secret not in text


def test_it_is_rotated_and_each_record_stays_whole(dump: Dump) -> None:
    body = {"prompt": "\x01" * LONGEST_BODY, "model": "smollm2-135m"}
    for _ in range(40):
        dump.front.post("/v1/completions", json=body, headers={"x-standin": "status=400"})
    older = dump.path.with_name("errors.log.1")
    wait_for(older.exists, "a second file")
    wait_for(lambda: sum(p.read_bytes().count(b"\n") for p in (older, dump.path)) == 40, "all records")
    for path in (older, dump.path):
        assert path.stat().st_size <= MAX_BYTES
        assert all(json.loads(line)["status"] == 400 for line in path.read_text().splitlines())
    assert BACKUPS == 1


def test_a_place_that_cannot_be_written_stops_no_request(engine: Served, tmp_path: Path) -> None:
    policy = Policy(errors_log=str(tmp_path / "nowhere/errors.log"))
    with middleware(engine.port, policy=policy) as front:
        for _ in range(3):
            answer = front.post("/v1/chat/completions", json=CHAT, headers={"x-standin": "status=400"})
            assert answer.status_code == 400
