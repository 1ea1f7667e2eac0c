"""A conversation in vLLM's forms becomes one in SGLang's; a message that is in order keeps its bytes."""

from __future__ import annotations

from typing import Any

import pytest

from middleware.fields.chat import CHAT
from middleware.fields.edit import Editor
from tests.middleware.fields.editing import edit, error, passes
from tests.middleware.fields.serving import bound

TEXT = {"type": "text", "text": "a"}


def user(*parts: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(parts)}]


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "system", "content": "a"}, {"role": "user", "content": "b"}],
        [{"role": "assistant", "content": None, "tool_calls": []}, {"role": "tool", "content": "x"}],
        [{"role": "alien", "content": "x"}],
        [{"role": "user", "content": []}],
        user(TEXT, {"type": "image_url", "image_url": {"url": "http://h/a.png"}}),
        user({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}),
        [{"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}], "reasoning_content": "r"}],
    ],
)
def test_what_both_take_keeps_its_bytes(messages: list[dict[str, Any]]) -> None:
    assert passes(CHAT, {"messages": messages})


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ([{"role": "user"}], [{"role": "user", "content": ""}]),
        (
            [{"role": "assistant", "content": "a", "reasoning": "r"}],
            [{"role": "assistant", "content": "a", "reasoning_content": "r"}],
        ),
        (
            [{"role": "assistant", "content": "a", "reasoning": None, "reasoning_content": "r"}],
            [{"role": "assistant", "content": "a", "reasoning_content": "r"}],
        ),
        (user({"type": "refusal", "refusal": "a"}), user(TEXT)),
        (user({"type": "input_text", "text": "a"}, {"type": "output_text", "text": "a"}), user(TEXT, TEXT)),
        (user({"type": "thinking", "thinking": "a"}), user(TEXT)),
        (user("a", TEXT), user(TEXT, TEXT)),
        (
            user({"image_url": "http://h/a.png"}, {"type": "input_image", "image_url": "http://h/a.png"}),
            user(*[{"type": "image_url", "image_url": {"url": "http://h/a.png"}}] * 2),
        ),
    ],
)
def test_vllms_forms_become_sglangs(given: list[Any], sent: list[Any]) -> None:
    assert edit(CHAT, {"messages": given}) == {"messages": sent}


@pytest.mark.parametrize(
    ("messages", "kind"),
    [
        ("hello", "Bad Request"),
        ([5], "Bad Request"),
        ([{"role": 5, "content": "a"}], "Bad Request"),
        ([{"role": "user", "content": 5}], "Bad Request"),
        ([{"role": "tool", "content": None}], "Bad Request"),
        (user(5), "BadRequestError"),
        (user({"text": "a"}), "BadRequestError"),
        (user({"type": "image_embeds", "image_embeds": "AAAA"}), "BadRequestError"),
        (user({"type": "image_url"}), "BadRequestError"),
        (user({"type": "image_url", "image_url": "http://h/" + "a" * 100}), "BadRequestError"),
        (user({"image_url": None, "uuid": "a"}), "BadRequestError"),
    ],
)
def test_what_is_no_message_is_400(messages: Any, kind: str) -> None:
    assert error(CHAT, {"messages": messages})["type"] == kind


def test_only_the_message_that_needs_it_is_written_anew() -> None:
    body = b'{"messages":[{"role":"user", "content":"\\u00e9" },{"role":"user"}]}'
    assert Editor(bound(CHAT), frozenset())(body) == (
        b'{"messages":[{"role":"user","content":"\\u00e9"},{"role":"user","content":""}]}'
    )


def test_a_conversation_of_nothing_is_400() -> None:
    assert error(CHAT, {"messages": []})["message"].startswith("Cannot apply chat template to an empty conversation")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"continue_final_message": True, "add_generation_prompt": True}, "Cannot set both"),
        ({"continue_final_message": True}, "are not compatible"),
    ],
)
def test_a_conversation_ends_in_one_way(body: dict[str, Any], words: str) -> None:
    assert words in error(CHAT, body)["message"]


def test_another_ending_is_left_to_the_prompts_rendering() -> None:
    body = {"continue_final_message": True, "add_generation_prompt": False}
    assert edit(CHAT, body) == body
    assert edit(CHAT, {"add_generation_prompt": True, "add_special_tokens": False}) == {}
