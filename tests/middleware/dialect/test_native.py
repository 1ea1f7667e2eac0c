"""SGLang's own answers go on as they came, but for the end of an id that is not the client's."""

from __future__ import annotations

import json

import pytest

from middleware.dialect.ends import Passing
from middleware.dialect.events import Events
from middleware.dialect.reply import Whole, reply
from middleware.dialect.voice import Voice, voice
from middleware.fields.told import Kind, Told
from middleware.policy import Policy

ENDING = "-0123456789abcdef"
STREAM = [(b"content-type", b"text/event-stream")]
JSON = [(b"content-type", b"application/json")]
VOICE: Voice = voice(Policy(), ())


def test_a_client_sees_the_id_that_it_chose() -> None:
    answer = b'{"text": "a", "meta_info": {"id": "mine%s"}}' % ENDING.encode()
    editing = reply(200, JSON, Told(Kind.NATIVE, ending=ENDING), VOICE)
    assert isinstance(editing, Whole)
    assert editing.retold(answer) == (200, b'{"text": "a", "meta_info": {"id": "mine"}}')


def test_in_an_error_too() -> None:
    editing = reply(400, JSON, Told(Kind.NATIVE, ending=ENDING), VOICE)
    assert isinstance(editing, Whole)
    status, body = editing.retold(b'{"error":{"message":"Duplicate request ID: mine%s"}}' % ENDING.encode())
    assert (status, json.loads(body)["error"]["message"]) == (400, "Duplicate request ID: mine")


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_in_a_stream_however_it_comes(size: int) -> None:
    event = b'data: {"text":"a","meta_info":{"id":"mine%s"}}\n\n'
    sent = event % ENDING.encode() * 3 + b"data: [DONE]\n\n"
    editing = reply(200, STREAM, Told(Kind.NATIVE, ending=ENDING), VOICE)
    assert isinstance(editing, Events)
    got = b"".join(editing.feed(sent[at : at + size]) for at in range(0, len(sent), size)) + editing.finish()
    assert got == event % b"" * 3 + b"data: [DONE]\n\n"


@pytest.mark.parametrize("size", [1, 30, 1000])
@pytest.mark.parametrize("headers", [JSON, STREAM])
def test_without_an_id_of_the_clients_nothing_changes_and_the_ends_are_seen(
    headers: list[tuple[bytes, bytes]], size: int
) -> None:
    sent = b'{"text":"a","meta_info":{"finish_reason":{"type":"length","length":8}}}' + b'{"finish_reason":null}' * 9
    told = Told(Kind.NATIVE)
    editing = reply(200, headers, told, VOICE)
    assert isinstance(editing, Passing)
    pieces = [sent[at : at + size] for at in range(0, len(sent), size)]
    assert [editing.feed(piece) for piece in pieces] == pieces
    assert told.ends == ["length"]
