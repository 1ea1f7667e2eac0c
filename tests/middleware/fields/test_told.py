"""What is remembered of a request for its answer."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from middleware.fields.chat import CHAT as REAL_CHAT
from middleware.fields.edit import Editor
from middleware.fields.record import Table, rename
from middleware.fields.told import Kind, Told, told
from middleware.policy import Policy
from tests.middleware.fields.serving import bound

CHAT = Table("chat", answer=Kind.CHAT, fields=(rename("old", "new", "another name"),))


def remembered(**fields: Any) -> Told:
    return told(Kind.CHAT, {name: msgspec.Raw(json.dumps(value).encode()) for name, value in fields.items()})


def test_a_request_that_says_nothing_has_vllms_defaults() -> None:
    assert remembered() == Told(Kind.CHAT)
    nulls = dict.fromkeys(("model", "n", "stream_options", "tool_choice", "include_reasoning", "stop_token_ids"))
    assert remembered(**nulls) == Told(Kind.CHAT)


@pytest.mark.parametrize("wrong", [{}, [], "x", 5, 1e400, True])
@pytest.mark.parametrize(
    "name", ["model", "n", "stream_options", "tool_choice", "stop_token_ids", "request_id", "echo"]
)
def test_a_value_of_a_wrong_type_is_somebody_elses_business(name: str, wrong: Any) -> None:
    assert remembered(**{name: wrong}).kind is Kind.CHAT


@pytest.mark.parametrize(
    ("prompt", "number", "ids"),
    [
        ("a", 1, False),
        (["a", "b"], 2, False),
        ([1, 2, 3], 1, True),
        ([[1], [2, 3]], 2, True),
        ([], 1, True),
    ],
)
def test_prompts_are_counted(prompt: Any, number: int, ids: bool) -> None:
    known = remembered(prompt=prompt, n=2)
    assert (known.prompts, known.choices, known.prompt_is_ids) == (number, 2 * number, ids)


def test_usage_in_every_chunk_needs_usage_at_all() -> None:
    assert not remembered(stream_options={"continuous_usage_stats": True}).continuous_usage
    both = remembered(stream_options={"include_usage": True, "continuous_usage_stats": True})
    assert both.include_usage
    assert both.continuous_usage


def test_the_operator_may_force_usage() -> None:
    draft = Editor(bound(CHAT), frozenset(), Policy(force_include_usage=True)).open(b'{"stream":true}')
    assert draft.told.continuous_usage


def test_without_a_turn_for_the_model_the_last_one_goes_on() -> None:
    messages = [{"role": "system", "content": "a"}, {"role": "user", "content": "b"}]
    assert remembered(messages=messages).role is None
    assert remembered(messages=messages, add_generation_prompt=None).role is None
    assert remembered(messages=messages, add_generation_prompt=False).role == "user"
    odd: Any
    for odd in ([], [1], {}, "x", [{"role": 5}]):
        assert not remembered(messages=odd, add_generation_prompt=False).role


def test_the_tool_choice_is_a_word() -> None:
    assert remembered(tool_choice="required").tool_choice == "required"
    assert remembered(tool_choice={"type": "function", "function": {"name": "f"}}).tool_choice == "named"


def test_an_id_is_put_behind_what_needs_nothing_else() -> None:
    editor = Editor(bound(CHAT), frozenset())
    draft = editor.open(b'{ "messages" : [ "}" ] }\n')
    draft.told.rid = 'a"b'
    assert editor.close(draft) == b'{ "messages" : [ "}" ] ,"rid":"a\\"b"}'


@pytest.mark.parametrize("body", [b"{}", b'{"rid":"theirs"}', b'{"n":1,"rid":["a","b"],"old":"a"}'])
def test_an_id_of_sglangs_that_a_client_sends_is_not_sent_on(body: bytes) -> None:
    editor = Editor(bound(CHAT), frozenset())
    draft = editor.open(body)
    draft.told.rid = "ours"
    sent = editor.close(draft)
    assert json.loads(sent)["rid"] == "ours"
    assert sent.count(b'"rid"') == 1


def test_tokens_that_end_an_answer_are_known_however_they_are_written() -> None:
    editor = Editor(bound(REAL_CHAT), frozenset())
    draft = editor.open(b'{"messages":[{"role":"user","content":"a"}],"stop_token_ids":["7042", 5.0]}')
    assert draft.told.stop_token_ids == {7042, 5}
