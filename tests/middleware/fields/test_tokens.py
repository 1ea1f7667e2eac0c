"""Token ids outside of the vocabulary never reach SGLang, however the prompt that holds them is written."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from middleware.errors import Refused
from middleware.fields.chat import CHAT
from middleware.fields.completions import COMPLETIONS
from middleware.fields.tokens import LONG, PIECE, check_ids
from tests.middleware.fields.editing import edit, error, passes

SIZE = 49152


@pytest.mark.parametrize("prompt", [[0, SIZE - 1], [[1], [2, SIZE - 1]], [1.0], ["a", "[b"], "text", " [1] "])
def test_prompts_keep_their_bytes(prompt: Any) -> None:
    assert passes(COMPLETIONS, {"prompt": prompt}, vocab_size=SIZE)


@pytest.mark.parametrize("prompt", [[SIZE], [1, SIZE, 2], [[1], [SIZE]], [float(SIZE)]])
def test_an_id_outside_of_the_vocabulary_is_400(prompt: Any) -> None:
    told = error(COMPLETIONS, {"prompt": prompt}, vocab_size=SIZE)
    assert told["message"] == f"Token id {SIZE} is out of vocabulary"
    assert passes(COMPLETIONS, {"prompt": prompt})  # Nobody has said how large it is.


@pytest.mark.parametrize(
    "prompt",
    [[-1], [[-1]], [1, -1], [1, "a"], ["a", 1], [True, "a"], [1.5], [None], [[1], "a"], [[["a"]]], {}, 5, True],
)
def test_what_is_no_prompt_is_400_as_vllm_says_it(prompt: Any) -> None:
    told = error(COMPLETIONS, {"prompt": prompt})
    assert told["type"] == "Bad Request"
    assert told["param"].startswith("body.prompt")


@pytest.mark.parametrize("prompt", [[""], ["a", ""], [[]], [[], [1]], [[1], []], [[1], [], [2]]])
def test_a_prompt_is_not_empty(prompt: Any) -> None:
    assert error(COMPLETIONS, {"prompt": prompt})["message"] == "The decoder prompt cannot be empty"


def test_a_long_list_is_looked_at_in_pieces_and_whole() -> None:
    ids = [7] * PIECE
    check_ids(json.dumps(ids).encode(), SIZE)
    for place in (0, PIECE // 2, -1):
        ids[place] = SIZE
        with pytest.raises(Refused):
            check_ids(json.dumps(ids).encode(), SIZE)
        with pytest.raises(Refused):
            check_ids(msgspec.Raw(json.dumps([[1], ids]).encode()), SIZE)
        ids[place] = 7
    assert len(json.dumps(ids)) < LONG  # Longer ones may be left to a thread.


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"5": 500, "6": -500.5}, {"5": 100, "6": -100}),
        ({" 5 ": "1.5"}, {"5": 1.5}),
        ({"5": 1}, {"5": 1}),
    ],
)
def test_biases_are_bounded_as_in_vllm(given: dict[str, Any], sent: dict[str, Any]) -> None:
    assert edit(CHAT, {"logit_bias": given}) == {"logit_bias": sent}


@pytest.mark.parametrize("name", ["stop_token_ids", "allowed_token_ids"])
def test_ids_of_other_fields_are_the_vocabularys_too(name: str) -> None:
    assert "out-of-vocab" in error(CHAT, {name: [SIZE]}, vocab_size=SIZE)["message"]
    assert "out-of-vocab" in error(CHAT, {name: [-1]})["message"]
    assert "out-of-vocab" in error(CHAT, {name: [2**31]})["message"]
