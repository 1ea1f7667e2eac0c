"""The log probabilities of a prompt's tokens as vLLM 0.33.0 tells them: by id, with ranks, the prompt's own first.
Made of what SGLang's /generate says of a prompt, for completions (`generated`) and for prompts of ids (`tokens_out`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from middleware.dialect.keys import Json
from middleware.dialect.logprobs import UNKNOWN, floored

# So many SGLang must be asked for at least, to know whether a token is the first of its place.
LEAST = 1


def of_prompt(info: Mapping[str, Any], wanted: int) -> list[Json | None]:
    """`wanted` alternatives a place. The first token has none: nothing came before it."""
    chosen = info.get("input_token_logprobs") or ()
    ranked = info.get("input_top_logprobs") or ()
    rows = (ranked[place] or () if place < len(ranked) else () for place in range(len(chosen)))
    return [
        _place(own, row, wanted) if place else None for place, (own, row) in enumerate(zip(chosen, rows, strict=True))
    ]


def _place(own: Sequence[Any], row: Sequence[Sequence[Any]], wanted: int) -> Json:
    """SGLang (0.5.23) knows the ranks of those it lists and of no other: one behind them is told as the next, which is
    the best that it can be."""
    ranks = {token: place for place, (_, token, _) in enumerate(row, 1)}
    logprob, number, text = own
    told = {str(number): _entry(logprob, ranks.get(number, len(row) + 1), text)}
    for place, (logprob, number, text) in enumerate(row[:wanted], 1):
        told.setdefault(str(number), _entry(logprob, place, text))
    return told


def _entry(logprob: float | None, rank: int, text: str | None) -> Json:
    """The bytes of a part of a character are not to be had here; vLLM tells nothing of most such parts."""
    spelled = "" if text is not None and text.endswith(UNKNOWN) else text
    return {"logprob": floored(logprob), "rank": rank, "decoded_token": spelled}
