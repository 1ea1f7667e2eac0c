"""Log probabilities as vLLM tells them: chat's list of tokens, and completions' four lists.
Part of the tables of chat and completions.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from middleware.dialect.keys import Json

# What vLLM says in the place of minus infinity; SGLang's JSON has null there.
FLOOR = -9999.0
TOKEN_ID = "token_id:"


def floored(logprob: float | None) -> float:
    return FLOOR if logprob is None or not logprob > FLOOR else logprob


def chat(logprobs: Any, meta_info: Mapping[str, Any] | None = None) -> Any:
    """With `meta_info`, which alone knows the ids, tokens are told as ids."""
    if not isinstance(logprobs, dict):
        return logprobs
    content = logprobs.get("content")
    if not isinstance(content, list):
        return {"content": content}
    told = [{**_token(token), "top_logprobs": [_token(top) for top in token["top_logprobs"]]} for token in content]
    if meta_info is not None:
        _as_ids(told, meta_info)
    return {"content": told}


def _token(token: Mapping[str, Any]) -> Json:
    return {"token": token["token"], "logprob": floored(token["logprob"]), "bytes": token["bytes"]}


def _as_ids(tokens: Sequence[Json], meta_info: Mapping[str, Any]) -> None:
    """vLLM keeps a token's own bytes, and gives its alternatives those of the text that it shows."""
    chosen = meta_info.get("output_token_logprobs") or ()
    ranked = meta_info.get("output_top_logprobs") or ()
    for place, (token, triple) in enumerate(zip(tokens, chosen, strict=False)):
        token["token"] = f"{TOKEN_ID}{triple[1]}"
        row = ranked[place] if place < len(ranked) else None
        for top, other in zip(token["top_logprobs"], row or (), strict=False):
            top["token"] = f"{TOKEN_ID}{other[1]}"
            top["bytes"] = list(top["token"].encode())


def completion(
    logprobs: Any, *, start: int = 0, whole_text: bool = True, token_ids: Sequence[int] | None = None
) -> Any:
    """`start` is where this piece of text begins; the first token of an echoed prompt has no probability."""
    if not isinstance(logprobs, dict):
        return logprobs
    tokens: list[str] = logprobs["tokens"]
    if token_ids is not None and len(token_ids) == len(tokens):
        tokens = [f"{TOKEN_ID}{token_id}" for token_id in token_ids]
    values = logprobs["token_logprobs"]
    ranked = logprobs.get("top_logprobs") or [None] * len(tokens)
    offsets = []
    at = start
    for token in tokens:
        offsets.append(at)
        at += len(token)
    first_is_prompt = whole_text and bool(values) and values[0] is None
    told = [None if first_is_prompt and place == 0 else floored(value) for place, value in enumerate(values)]
    return {
        "text_offset": offsets,
        "token_logprobs": told,
        "tokens": tokens,
        "top_logprobs": [_top(*each) for each in zip(tokens, told, ranked, strict=False)],
    }


def _top(token: str, logprob: float | None, ranked: Mapping[str, float | None] | None) -> Json | None:
    """In vLLM the chosen token is always among them, and first; in SGLang only if it ranks high enough."""
    if logprob is None:
        return None
    return {token: logprob, **{other: floored(value) for other, value in (ranked or {}).items() if other != token}}
