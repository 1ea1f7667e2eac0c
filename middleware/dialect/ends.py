"""How the choices of an answer have ended, for what counts requests: read off whole answers, and off SGLang's own as
they pass. The streams of the other kinds say it where they read it.
Called by `reply`.
"""

import re
from collections.abc import Mapping
from typing import Any

from middleware.fields.told import Kind, Told

# Of /generate and its kin, which have it once for each prompt; Ollama's word is another. An error is an event.
_END = re.compile(rb'"finish_reason": ?\{"type": ?"(\w+)"|"done_reason": ?"(\w+)"|data: \{"(error)":')
# More than any match is long.
_LONGEST = 64
_STATUS = {"completed": "stop", "incomplete": "length", "cancelled": "abort", "failed": "error"}


def of_answer(answer: Mapping[str, Any], told: Told) -> None:
    if told.kind is Kind.RESPONSE:
        if (status := answer.get("status")) in _STATUS:
            told.ends.append(_STATUS[status])
        return
    told.ends += [str(choice.get("finish_reason")) for choice in answer["choices"]]
    usage = answer.get("usage")
    if usage:
        told.prompt_tokens = usage["prompt_tokens"] // told.prompts


def in_bytes(content: bytes, told: Told) -> None:
    told.ends += ["".join(map(bytes.decode, found)) for found in _END.findall(content)]


class Passing:
    """In the place of `Events` for an answer that goes on as it comes."""

    __slots__ = ("_rest", "_told")

    def __init__(self, told: Told) -> None:
        self._told = told
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        seen = self._rest + data if self._rest else data
        last = 0
        for found in _END.finditer(seen):
            self._told.ends.append((found[1] or found[2] or found[3]).decode())
            last = found.end()
        self._rest = seen[max(last, len(seen) - _LONGEST) :]
        return data

    def finish(self) -> bytes:
        return b""
