"""Completions' log probabilities: how tokens are spelled, and where they are in the text."""

from __future__ import annotations

from typing import Any

import pytest

from middleware.dialect.logprobs import Completion
from middleware.fields.told import Kind, Told

# As SGLang tells the bytes of a character that is in three tokens.
PARTY, BALL = ["ð\x9f", "\x8e", "\x89"], ["ð\x9f", "\x8e", "\x8a"]


def scored(tokens: list[str], tops: list[Any] | None = None, values: list[Any] | None = None) -> dict[str, Any]:
    values = values or [-1.0] * len(tokens)
    return {"tokens": tokens, "token_logprobs": values, "top_logprobs": tops, "text_offset": [-1] * len(tokens)}


def told(given: Any, text: str, **known: Any) -> Any:
    return Completion(Told(Kind.COMPLETION, **known)).told(given, text)


@pytest.mark.parametrize(
    ("tokens", "text", "spelled", "offsets"),
    [
        (["a", " b"], "a b", ["a", " b"], [0, 1]),
        ([*PARTY, *BALL], "🎉🎊", ["", "", "🎉", "", "", "🎊"], [0, 0, 0, 1, 1, 1]),
        (["é", "a"], "éa", ["é", "a"], [0, 1]),
        ([" é", *PARTY], " é🎉", [" é", "", "", "🎉"], [0, 2, 2, 2]),
        (["Ã", "©"], "é", ["", "é"], [0, 0]),
        ([" ð\x9f", "\x8e", "\x89 x"], " 🎉 x", ["", "", "\ufffd x"], [0, 0, 0]),
        (["日", "本"], "日本", ["日", "本"], [0, 1]),
        (["<|im_end|>"], "", ["<|im_end|>"], [0]),
        (PARTY[:2], "\ufffd", ["", ""], [0, 0]),
    ],
)
def test_a_characters_tokens_are_nothing_but_for_the_last(
    tokens: list[str], text: str, spelled: list[str], offsets: list[int]
) -> None:
    ours = told(scored(tokens), text)
    assert (ours["tokens"], ours["text_offset"]) == (spelled, offsets)


def test_the_first_token_of_a_prompt_is_no_part_of_what_comes() -> None:
    """vLLM 0.33.0 corrects it not, and does not look back to it."""
    ours = told(scored([*PARTY, *BALL], values=[None, -1.0, -1.0, -1.0, -1.0, -1.0]), "🎉🎊")
    assert ours["tokens"] == ["\ufffd", "", "", "", "", "🎊"]
    assert ours["text_offset"] == [0, 1, 1, 1, 1, 1]
    assert ours["top_logprobs"][0] is None


def test_a_character_may_come_in_several_chunks() -> None:
    pieces = Completion(Told(Kind.COMPLETION))
    chunks = [pieces.told(scored([token]), text) for token, text in zip(PARTY, ("", "", "🎉"), strict=True)]
    assert [chunk["tokens"] for chunk in chunks] == [[""], [""], ["🎉"]]
    assert pieces.told(scored(["a"]), "a")["text_offset"] == [1]


def test_others_are_spelled_from_where_the_chosen_one_is() -> None:
    tops = [{PARTY[0]: -1.0, "a": -2.0}, {PARTY[1]: -1.0}, {PARTY[2]: -1.0, BALL[2]: -3.0}]
    ours = told(scored(PARTY, tops), "🎉", logprobs=2)
    assert ours["top_logprobs"] == [{"": -1.0, "a": -2.0}, {"": -1.0}, {"🎉": -1.0, "🎊": -3.0}]
    assert told(scored(["a"], [{"é": -0.5, "a": -1.0}]), "a")["top_logprobs"] == [{"a": -1.0, "é": -0.5}]


def test_none_besides_the_chosen_one_where_none_is_asked_for() -> None:
    assert told(scored(["a"], [{"b": -0.5}]), "a", logprobs=0)["top_logprobs"] == [{"a": -1.0}]


def test_of_the_prompt_alone_the_last_token_is_not_told() -> None:
    ours = told(scored(["a", "b"], [None, {"b": -1.0}], [None, -1.0]), "ab", only_prompt=True)
    assert ours == {"text_offset": [0], "token_logprobs": [None], "tokens": ["a"], "top_logprobs": [None]}
