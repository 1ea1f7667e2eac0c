"""The probabilities of a prompt, from SGLang's triples to vLLM's places by id."""

from __future__ import annotations

from middleware.dialect.logprobs import FLOOR
from middleware.dialect.prompt_logprobs import of_prompt

INFO = {
    "input_token_logprobs": [[None, 1, "<s>"], [-3.0, 7, " b"], [-0.5, 8, " c"], [None, 9, "\ufffd"]],
    "input_top_logprobs": [None, [[-1.0, 4, "x"], [-2.0, 5, "y"]], [[-0.5, 8, " c"], [-2.0, 4, "x"]], None],
}


def entry(logprob: float, rank: int, text: str) -> dict[str, object]:
    return {"logprob": logprob, "rank": rank, "decoded_token": text}


def test_the_prompts_own_token_is_first_and_knows_its_rank_where_it_is_listed() -> None:
    first, behind, best, last = of_prompt(INFO, 2)
    assert first is None
    assert behind == {"7": entry(-3.0, 3, " b"), "4": entry(-1.0, 1, "x"), "5": entry(-2.0, 2, "y")}
    assert best == {"8": entry(-0.5, 1, " c"), "4": entry(-2.0, 2, "x")}
    assert [*behind, *best] == ["7", "4", "5", "8", "4"]
    # Minus infinity is null in SGLang's JSON; half a character is spelled as nothing.
    assert last == {"9": entry(FLOOR, 1, "")}


def test_with_none_beside_it_a_token_is_alone() -> None:
    told = of_prompt(INFO, 0)
    assert [list(place or ()) for place in told] == [[], ["7"], ["8"], ["9"]]


def test_a_prompt_without_probabilities_has_none() -> None:
    assert of_prompt({}, 5) == []
