"""A chat whose prompt comes as token ids: SGLang's chat is sent those, under its own name for them."""

from __future__ import annotations

from typing import Any

import pytest

from middleware.fields.chat import CHAT, CHAT_TOKENS
from tests.middleware.fields.editing import HI, edit, error

SIZE = 49152


def test_the_ids_are_sent_as_they_came() -> None:
    ids = [0, 7, SIZE - 1]
    sent = edit(CHAT_TOKENS, {"messages": HI, "tokens": ids, "max_tokens": 3}, vocab_size=SIZE)
    assert (sent["input_ids"], sent["max_tokens"]) == (ids, 3)
    assert "tokens" not in sent


def test_to_a_plain_chat_they_are_a_field_that_nobody_knows() -> None:
    assert "input_ids" not in edit(CHAT, {"messages": HI, "tokens": [1]})


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "Field required"),
        ({"tokens": None}, "Input should be a valid list"),
        ({"tokens": "12"}, "Input should be a valid list"),
        ({"tokens": [[1]]}, "Input should be a valid integer"),
        ({"tokens": [1, [2]]}, "Input should be a valid integer"),
        ({"tokens": [-1]}, "greater than or equal to 0"),
        ({"tokens": ["a"]}, "Input should be a valid integer"),
        ({"tokens": []}, "tokens must not be empty."),
        ({"tokens": [SIZE]}, f"Token id {SIZE} is out of vocabulary"),
        ({"tokens": [1], "input_ids": [1]}, "input_ids is given twice"),
    ],
)
def test_what_is_no_prompt_is_400(fields: dict[str, Any], words: str) -> None:
    assert words in error(CHAT_TOKENS, {"messages": HI, **fields}, vocab_size=SIZE)["message"]
