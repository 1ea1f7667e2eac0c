"""What the operator's flags put into requests and take from them: defaults, caps, templates, efforts, usage."""

from __future__ import annotations

from typing import Any

import pytest

from middleware.fields.chat import CHAT
from middleware.fields.completions import COMPLETIONS
from middleware.fields.edit import Editor
from middleware.fields.others import DECISIONS, TOKENIZE
from middleware.fields.record import Table
from middleware.fields.responses import RESPONSES, STORED
from middleware.policy import Policy
from tests.middleware.fields.editing import edit, error
from tests.middleware.fields.serving import bound

DEFAULTS = {"temperature": 0.6, "top_p": 0.9, "top_k": 0, "repetition_penalty": 1.1}
AS_SENT = {**DEFAULTS, "top_k": -1}


@pytest.mark.parametrize("table", [CHAT, COMPLETIONS, RESPONSES], ids=["chat", "completions", "responses"])
def test_defaults_are_put_where_the_client_set_nothing(table: Table) -> None:
    assert edit(table, {"user": "u"}, sampling_defaults=DEFAULTS) == {"user": "u", **AS_SENT}
    set_by_client = {"temperature": 0, "top_p": None, "top_k": 5}
    assert edit(table, set_by_client, sampling_defaults=DEFAULTS) == {**AS_SENT, "temperature": 0, "top_k": 5}


def test_a_prompt_beside_defaults_keeps_its_bytes() -> None:
    editor = Editor(bound(COMPLETIONS), frozenset(), Policy(sampling_defaults={"temperature": 0.5}))
    assert editor(b'{"prompt": "\\u00e9 \xc3\xa9"}') == b'{"prompt":"\\u00e9 \xc3\xa9","temperature":0.5}'


@pytest.mark.parametrize(
    ("table", "body", "policy", "sent"),
    [
        (CHAT, {}, {"max_new_tokens": 50}, {"max_tokens": 50}),
        (CHAT, {"max_tokens": 60}, {"max_new_tokens": 50}, {"max_tokens": 50}),
        (CHAT, {"max_tokens": "60"}, {"max_new_tokens": 50}, {"max_tokens": 50}),
        (CHAT, {"max_tokens": 40}, {"max_new_tokens": 50}, {"max_tokens": 40}),
        (CHAT, {"max_tokens": None}, {"max_new_tokens": 50}, {"max_tokens": 50}),
        (
            CHAT,
            {"max_completion_tokens": 60, "max_tokens": 70},
            {"max_new_tokens": 50},
            {"max_completion_tokens": 50, "max_tokens": 50},
        ),
        (CHAT, {"max_completion_tokens": 9}, {"max_new_tokens": 50}, {"max_completion_tokens": 9}),
        (CHAT, {}, {"sampling_defaults": {"max_tokens": 50}}, {"max_tokens": 50}),
        (CHAT, {"max_tokens": 60}, {"sampling_defaults": {"max_tokens": 50}}, {"max_tokens": 60}),
        (CHAT, {}, {"sampling_defaults": {"max_tokens": 50}, "max_new_tokens": 40}, {"max_tokens": 40}),
        (CHAT, {}, {}, {}),
        (COMPLETIONS, {}, {"max_new_tokens": 50}, {"max_tokens": 16}),
        (COMPLETIONS, {}, {"max_new_tokens": 5}, {"max_tokens": 5}),
        (COMPLETIONS, {"max_tokens": 60}, {"max_new_tokens": 50}, {"max_tokens": 50}),
        (COMPLETIONS, {}, {"sampling_defaults": {"max_tokens": 50}}, {"max_tokens": 16}),
        (RESPONSES, {}, {"max_new_tokens": 50}, {"max_output_tokens": 50}),
        (STORED, {}, {"max_new_tokens": 50}, {"max_output_tokens": 52}),
        (STORED, {"max_output_tokens": 60}, {"max_new_tokens": 50}, {"max_output_tokens": 52}),
    ],
)
def test_the_length_of_an_answer(
    table: Table, body: dict[str, Any], policy: dict[str, Any], sent: dict[str, Any]
) -> None:
    assert edit(table, body, **policy) == sent


UNTRUSTED = {
    "message": "Chat template is passed with request, but --trust-request-chat-template is not set. "
    "Refused request with untrusted chat template.",
    "type": "BadRequestError",
    "param": None,
    "code": 400,
}


@pytest.mark.parametrize("table", [CHAT, TOKENIZE, DECISIONS, RESPONSES, STORED], ids=lambda table: table.name)
def test_an_untrusted_template_is_refused_as_recorded(table: Table) -> None:
    assert error(table, {"chat_template_kwargs": {"chat_template": "x"}}) == UNTRUSTED
    assert error(table, {"chat_template_kwargs": {"chat_template": ""}}) == UNTRUSTED
    assert edit(table, {"chat_template_kwargs": {"a": 1, "chat_template": None}}) == {"chat_template_kwargs": {"a": 1}}
    assert edit(table, {"chat_template_kwargs": None}) == {}
    given = {"chat_template_kwargs": {"enable_thinking": False}}
    assert edit(table, given) == given
    assert error(table, {"chat_template_kwargs": "x"})["param"] == "body.chat_template_kwargs"


@pytest.mark.parametrize("table", [CHAT, TOKENIZE], ids=lambda table: table.name)
def test_a_template_of_its_own_field(table: Table) -> None:
    assert error(table, {"chat_template": "x"}) == UNTRUSTED
    assert edit(table, {"chat_template": None}) == {}
    trusted = {"trust_request_chat_template": True}
    assert edit(table, {"chat_template": "x"}, **trusted) == {"chat_template_kwargs": {"chat_template": "x"}}
    both = {"chat_template": "x", "chat_template_kwargs": {"a": 1, "chat_template": "y"}}
    assert edit(table, both, **trusted) == {"chat_template_kwargs": {"a": 1, "chat_template": "x"}}
    in_kwargs = {"chat_template_kwargs": {"chat_template": "y"}}
    assert edit(table, in_kwargs, **trusted) == in_kwargs


@pytest.mark.parametrize("table", [CHAT, RESPONSES, STORED], ids=lambda table: table.name)
def test_arguments_for_the_processor_as_recorded(table: Table) -> None:
    assert error(table, {"mm_processor_kwargs": {"a": 1}}) == {
        "message": "Per-request mm_processor_kwargs are disabled by default because they can change multimodal "
        "preprocessing resource usage. Start the server with --trust-request-mm-kwargs only when clients are trusted. "
        "(parameter=mm_processor_kwargs)",
        "type": "BadRequestError",
        "param": "mm_processor_kwargs",
        "code": 400,
    }
    assert "multimodal media loading resource usage" in error(table, {"media_io_kwargs": {"video": {}}})["message"]
    nothing: dict[str, Any] = {"mm_processor_kwargs": {}, "media_io_kwargs": None}
    assert edit(table, nothing) in ({}, {"mm_processor_kwargs": {}})
    given = {"mm_processor_kwargs": {"a": 1}}
    if table is STORED:
        assert "not supported" in error(table, given, trust_request_mm_kwargs=True)["message"]
    else:
        assert edit(table, given, trust_request_mm_kwargs=True) == given
    media = {"media_io_kwargs": {"video": {"num_frames": 4}}}
    assert "not supported" in error(table, media, trust_request_mm_kwargs=True)["message"]


MAP = {"medium": "low", "high": "deep"}


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        ({"reasoning_effort": "medium"}, {"reasoning_effort": "low"}),
        ({"reasoning_effort": "minimal"}, {"reasoning_effort": "minimal"}),
        (
            {"reasoning_effort": "high"},
            {"chat_template_kwargs": {"enable_thinking": True, "reasoning_effort": "deep"}},
        ),
        (
            {"reasoning_effort": "high", "chat_template_kwargs": {"enable_thinking": False}},
            {"chat_template_kwargs": {"enable_thinking": False, "reasoning_effort": "deep"}},
        ),
    ],
)
def test_an_effort_becomes_the_templates(body: dict[str, Any], sent: dict[str, Any]) -> None:
    assert edit(CHAT, body, reasoning_effort_map=MAP) == sent
    assert edit(CHAT, body) == body


def test_an_effort_of_responses() -> None:
    body = {"reasoning": {"effort": "medium", "summary": "auto"}}
    assert edit(STORED, body, reasoning_effort_map=MAP) == {"reasoning": {"effort": "low", "summary": "auto"}}
    for reasoning in ({}, {"effort": None}, {"effort": "max"}):
        assert edit(STORED, {"reasoning": reasoning}, reasoning_effort_map=MAP) == {"reasoning": reasoning}


FORCED = {"include_usage": True, "continuous_usage_stats": True}


@pytest.mark.parametrize("table", [CHAT, COMPLETIONS], ids=["chat", "completions"])
@pytest.mark.parametrize(
    ("body", "sent"),
    [
        ({"stream": True}, {"stream": True, "stream_options": FORCED}),
        ({"stream": True, "stream_options": None}, {"stream": True, "stream_options": FORCED}),
        (
            {"stream": True, "stream_options": {"include_usage": False, "x": 1}},
            {"stream": True, "stream_options": {**FORCED, "x": 1}},
        ),
        ({"stream": False}, {"stream": False}),
        ({}, {}),
    ],
)
def test_usage_is_forced_into_streams(table: Table, body: dict[str, Any], sent: dict[str, Any]) -> None:
    assert edit(table, body, force_include_usage=True) == sent
    assert edit(table, body) == {name: value for name, value in body.items() if value is not None}
