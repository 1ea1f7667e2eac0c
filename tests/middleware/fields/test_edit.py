"""The walk over a table: what needs nothing keeps its bytes, and what must change changes alone."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from middleware.errors import Refused
from middleware.fields.chat import CHAT
from middleware.fields.completions import COMPLETIONS
from middleware.fields.draft import Draft
from middleware.fields.edit import Editor
from middleware.fields.record import Table, convert, drop, refuse, rename, same
from tests.middleware.fields.serving import bound

NOTHING: frozenset[str] = frozenset()


def refused(editor: Editor, body: bytes) -> dict[str, Any]:
    with pytest.raises(Refused) as caught:
        editor(body)
    response = caught.value.response
    assert response.status_code == 400
    error: dict[str, Any] = json.loads(bytes(response.body))["error"]
    assert error.get("code", 400) == 400  # Anthropic's have none.
    return error


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"m","messages":[{"role":"user","content":"hi"}]}',
        b'\n{ "messages" : [ {"role":"user","content":"h\\u00e9 \xc3\xa9"} ] , "temperature":1.0 }\n',
        b'{"model":"first","model":"second","messages":[{"content":"a","role":"user"}]}',
        b'{"messages":[{"role":"user","content":"a"}],"logprobs":true,"top_logprobs":5,"seed":12345678901234567}',
    ],
)
def test_a_body_that_needs_nothing_keeps_its_bytes(body: bytes) -> None:
    assert Editor(bound(CHAT), NOTHING)(body) is body


def test_what_is_not_edited_keeps_its_bytes_in_a_body_that_is() -> None:
    body = b'{"prompt": [ 1,2 ,3],"guided_regex":"a+","stop":"\\u00e9", "n":1.0}'
    assert Editor(bound(COMPLETIONS), NOTHING)(body) == b'{"prompt":[ 1,2 ,3],"stop":"\\u00e9","n":1.0,"regex":"a+"}'


def test_the_operator_strips_fields_by_name() -> None:
    editor = Editor(bound(CHAT), frozenset({"logprobs", "top_logprobs"}))
    messages = b'"messages":[{"role":"user","content":"hi"}]'
    assert editor(b'{"logprobs":true,"top_logprobs":2,' + messages + b"}") == b"{" + messages + b"}"
    untouched = b'{"n": 1,' + messages + b"}"
    assert editor(untouched) is untouched


def test_a_name_written_with_escapes_is_the_same_name() -> None:
    assert (
        Editor(bound(COMPLETIONS), NOTHING)(b'{"prompt":"a","guided\\u005fregex":"a"}') == b'{"prompt":"a","regex":"a"}'
    )


def double(draft: Draft, name: str) -> None:
    value = draft.value(name)
    draft.drop(name)
    draft.put("doubled", value * 2)


TABLE = Table(
    "test",
    fields=(
        same("kept"),
        rename("old", "new", "another name"),
        drop("gone", "it does nothing"),
        refuse("never", "nothing does it"),
        convert("single", double, "twice"),
    ),
)


@pytest.mark.parametrize(
    ("body", "edited"),
    [
        pytest.param({"kept": 1, "other": 2}, {"kept": 1, "other": 2}, id="same"),
        pytest.param({"old": [1]}, {"new": [1]}, id="rename"),
        pytest.param({"old": None}, {}, id="a null is no value to rename"),
        pytest.param({"old": 1, "new": None}, {"new": 1}, id="rename over a null"),
        pytest.param({"gone": 1}, {}, id="drop"),
        pytest.param({"never": None}, {}, id="a null asks for nothing"),
        pytest.param({"single": 4}, {"doubled": 8}, id="convert"),
    ],
)
def test_each_kind_of_decision(body: dict[str, Any], edited: dict[str, Any]) -> None:
    assert json.loads(Editor(TABLE, NOTHING)(json.dumps(body).encode())) == edited


def test_a_refused_field_is_400_with_the_reason() -> None:
    error = refused(Editor(TABLE, NOTHING), b'{"never":1}')
    assert error == {
        "message": "never is not supported: nothing does it.",
        "type": "BadRequestError",
        "param": "never",
        "code": 400,
    }


def test_a_renamed_field_does_not_overwrite_what_the_client_set() -> None:
    assert refused(Editor(TABLE, NOTHING), b'{"old":1,"new":2}')["param"] == "new"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", id="in a value nobody looks at"),
        pytest.param(b"[" * 100_000, id="no object at all"),
        pytest.param(b'{"tools":' + b'[{"a":' * 50_000 + b"1" + b"}]" * 50_000 + b"}", id="in a value we decode"),
    ],
)
def test_a_deeply_nested_body_is_400(body: bytes) -> None:
    assert refused(Editor(bound(CHAT), NOTHING), body)["message"].startswith(
        "1 validation error:\n  {'type': 'json_invalid'"
    )


@pytest.mark.parametrize("body", [b'{"tools":["\xff"]}', b'{"\xff":1}', b'{"guided_regex":"\xff"}'])
def test_a_body_that_is_not_utf8_is_400(body: bytes) -> None:
    with pytest.raises(Refused) as caught:
        Editor(bound(CHAT), NOTHING)(body)
    assert bytes(caught.value.response.body) == b'{"detail":"There was an error parsing the body"}'


def test_tables_name_each_field_once() -> None:
    for table in (CHAT, COMPLETIONS):
        names = [field.name for field in table.fields]
        assert len(names) == len(set(names))
        assert all(field.why for field in table.fields)


def test_a_megabyte_of_prompt_is_not_written_anew() -> None:
    prompt = json.dumps("漢" * 350_000, ensure_ascii=False).encode()
    edited = Editor(bound(COMPLETIONS), NOTHING)(b'{"prompt":' + prompt + b',"guided_choice":["a"]}')
    assert prompt in edited
    assert msgspec.json.decode(edited)["regex"] == "(a)"
