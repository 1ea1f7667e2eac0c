"""Log probabilities as vLLM tells them: chat's list of tokens, and completions' four lists.
Part of the tables of chat and completions.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from middleware.dialect.keys import Json
from middleware.fields.told import Told

# What vLLM says in the place of minus infinity; SGLang's JSON has null there.
FLOOR = -9999.0
TOKEN_ID = "token_id:"
UNKNOWN = "\ufffd"
# Tokens that vLLM looks back for the beginning of a character.
CONTEXT = 4


def floored(logprob: float | None) -> float:
    return FLOOR if logprob is None or not logprob > FLOOR else logprob


def chat(logprobs: Any, meta_info: Mapping[str, Any] | None = None, by_bytes: Mapping[bytes, int] | None = None) -> Any:
    """With `meta_info`, which alone knows the ids, tokens are told as ids; in a stream by their bytes."""
    if not isinstance(logprobs, dict):
        return logprobs
    content = logprobs.get("content")
    if not isinstance(content, list):
        return {"content": content}
    told = [{**_token(token), "top_logprobs": [_token(top) for top in token["top_logprobs"]]} for token in content]
    if meta_info is not None:
        _as_ids(told, meta_info)
    elif by_bytes is not None:
        _by_bytes(told, by_bytes)
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
            _name(top, other[1])


def _by_bytes(tokens: Sequence[Json], ids: Mapping[bytes, int]) -> None:
    for token in tokens:
        if (number := ids.get(bytes(token["bytes"]))) is not None:
            token["token"] = f"{TOKEN_ID}{number}"
        for top in token["top_logprobs"]:
            if (number := ids.get(bytes(top["bytes"]))) is not None:
                _name(top, number)


def _name(top: Json, number: int) -> None:
    top["token"] = f"{TOKEN_ID}{number}"
    top["bytes"] = list(top["token"].encode())


class Completion:
    """Of one choice, whole or piece by piece: `Completion(told).told(logprobs, text)`."""

    __slots__ = ("_at", "_first", "_fragments", "_told")

    def __init__(self, told: Told) -> None:
        self._told = told
        self._at = 0
        self._first = True
        # The tokens just before that are parts of characters.
        self._fragments: list[bytes] = []

    def told(self, logprobs: Any, text: str) -> Any:
        """`text` is what the tokens are spelled in; the first token of an echoed prompt has no probability."""
        first, self._first = self._first, False
        if not isinstance(logprobs, dict):
            return logprobs
        given: list[str] = logprobs["tokens"]
        values: list[float | None] = logprobs["token_logprobs"]
        ranked = logprobs.get("top_logprobs") or [None] * len(given)
        if self._told.only_prompt:
            given, values, ranked = given[:-1], values[:-1], ranked[:-1]
        told, tokens, offsets, tops = [], [], [], []
        place = 0
        for number, (token, value, row) in enumerate(zip(given, values, ranked, strict=False)):
            unscored = first and number == 0 and value is None
            before = tuple(self._fragments)
            shown = self._spelled(token, text, place, alone=unscored)
            if text.startswith(shown, place):
                place += len(shown)
            logprob = None if unscored else floored(value)
            told.append(logprob)
            tokens.append(shown)
            offsets.append(self._at)
            self._at += len(shown)
            tops.append(self._top(token, shown, logprob, row, before))
        return {"text_offset": offsets, "token_logprobs": told, "tokens": tokens, "top_logprobs": tops}

    def _spelled(self, token: str, text: str, place: int, *, alone: bool) -> str:
        """As vLLM spells it: the tokens of a character are nothing, but for its last, which is all of it. SGLang 0.5.23
        has a character of Latin-1 for each byte of theirs, which may also be the text itself."""
        raw = _fragment(token)
        if raw is None or (not self._fragments and text.startswith(token, place)):
            self._fragments.clear()
            return token
        if alone:  # The first of a prompt, which is no part of what comes.
            return raw.decode(errors="replace")
        shown = _completed(raw, self._fragments)
        if shown:
            self._fragments.clear()
        else:
            self._fragments = [*self._fragments, raw][-CONTEXT:]
        return shown

    def _top(
        self,
        token: str,
        shown: str,
        logprob: float | None,
        row: Mapping[str, float | None] | None,
        before: Sequence[bytes],
    ) -> Json | None:
        """In vLLM the chosen token is always among them, and first; in SGLang only if it ranks high enough."""
        if logprob is None:
            return None
        others = list((row or {}).items())[: self._told.logprobs]
        told = {shown: logprob}
        for other, value in others:
            if other != token:
                told.setdefault(self._other(other, before, split=token != shown), floored(value))
        return told

    @staticmethod
    def _other(token: str, before: Sequence[bytes], *, split: bool) -> str:
        """Of a token that was not chosen, so that no text says what it spells."""
        raw = _fragment(token) if before or split else None
        return token if raw is None else _completed(raw, before)


def _completed(raw: bytes, before: Sequence[bytes]) -> str:
    """With as few of the tokens before as will do."""
    for start in range(len(before), -1, -1):
        whole = b"".join((*before[start:], raw)).decode(errors="replace")
        if not whole.endswith(UNKNOWN):
            return whole
    return ""


def _fragment(token: str) -> bytes | None:
    """The bytes of what may be a part of a character."""
    if token.isascii():
        return None
    try:
        raw = token.encode("latin-1")
    except UnicodeEncodeError:
        return None
    try:
        raw.decode()
    except UnicodeDecodeError:
        return raw
    return None
