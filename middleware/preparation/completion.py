"""A completion whose prompt is to be cut, or to be tokenized without special tokens: it is sent as token ids.
Asked by `prepare` for each completion; SGLang has no fields for either.
"""

import asyncio
from collections.abc import Awaitable
from typing import Any

from middleware.dialect.room import fit
from middleware.fields.common import PROMPT_FIELDS
from middleware.fields.completions import DEFAULT_LENGTH
from middleware.fields.draft import RAW_NULL, Draft
from middleware.fields.prompt import PROMPT
from middleware.preparation import cut
from middleware.preparation.prompts import Prompts, require_tokens

SPECIAL = "add_special_tokens"


class Completions:
    """work = Completions(prompts).work(draft)   # None, or to be awaited; it changes the draft, or is Refused"""

    __slots__ = ("_prompts",)

    def __init__(self, prompts: Prompts) -> None:
        self._prompts = prompts

    def work(self, draft: Draft) -> Awaitable[None] | None:
        if not any(name in draft.fields for name in PROMPT_FIELDS):
            return None
        return self._tokenized(draft)

    async def _tokenized(self, draft: Draft) -> None:
        prompts = self._prompts
        wanted = cut.wanted(draft, prompts.context, generates=_generates(draft))
        special = not draft.given(SPECIAL)
        for name in PROMPT_FIELDS:
            if name in draft.fields:
                draft.drop(name)
        if wanted is None and special:
            return
        given = await asyncio.to_thread(draft.value, PROMPT)
        one = not isinstance(given, list) or isinstance(given[0], int)
        ids = await self._ids([given] if one else given, wanted, special=special)
        if ids is None:
            return
        draft.replace(PROMPT, ids[0] if one else ids)
        if prompts.context is not None:
            fit(draft, max(map(len, ids)), prompts.context, DEFAULT_LENGTH)

    async def _ids(self, given: list[Any], wanted: cut.Cut | None, *, special: bool) -> list[list[int]] | None:
        """None where they are ids already, and stay."""
        if isinstance(given[0], str):
            return await self._prompts.of_texts(given, wanted, special=special)
        if wanted is None:
            return None
        ids = [wanted(each) for each in given]
        require_tokens(ids)
        return ids


def _generates(draft: Draft) -> bool:
    """vLLM takes a length of null for none at all, and leaves it no room."""
    raw = draft.sent.get("max_tokens")
    return raw is None or (bytes(raw) != RAW_NULL and draft.number("max_tokens") != 0)
