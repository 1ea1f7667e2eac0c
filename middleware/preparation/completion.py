"""A completion whose prompt is to be cut, or to be tokenized without special tokens: it is sent as token ids. And one
whose answer SGLang's /v1/completions cannot give as vLLM does: it is sent to /generate. Asked by `prepare` for each.
"""

import asyncio
from collections.abc import Awaitable
from typing import Any

from middleware.dialect.room import fit_each
from middleware.fields.common import PROMPT_FIELDS
from middleware.fields.completions import DEFAULT_LENGTH
from middleware.fields.draft import RAW_NULL, Draft
from middleware.fields.prompt import PROMPT
from middleware.preparation import cut
from middleware.preparation.generated import generate
from middleware.preparation.prompts import Prompts, require_tokens

SPECIAL = "add_special_tokens"
# A text has no more tokens than bytes, and these around it.
AROUND = 8


class Completions:
    """work = Completions(prompts).work(draft)   # None, or to be awaited; it changes the draft, or is Refused"""

    __slots__ = ("_prompts",)

    def __init__(self, prompts: Prompts) -> None:
        self._prompts = prompts

    def work(self, draft: Draft) -> Awaitable[None] | None:
        if (
            any(name in draft.fields for name in PROMPT_FIELDS)
            or _is_generated(draft)
            or _shows_prompt(draft)
            or (draft.told.prompts > 1 and self._is_crowded(draft, len(draft.fields[PROMPT])))
        ):
            return self._tokenized(draft)
        return None

    async def _tokenized(self, draft: Draft) -> None:
        prompts = self._prompts
        wanted = cut.wanted(draft, prompts.context, generates=_generates(draft))
        special = not draft.given(SPECIAL)
        for name in PROMPT_FIELDS:
            if name in draft.fields:
                draft.drop(name)
        as_ids = wanted is not None or not special
        generated = _is_generated(draft)
        shown = _shows_prompt(draft)
        if not (as_ids or generated or shown) and draft.told.prompts == 1:
            return
        value = await asyncio.to_thread(draft.value, PROMPT)
        one = not isinstance(value, list) or isinstance(value[0], int)
        given = [value] if one else value
        ids: list[list[int]] | None = None
        lengths = None
        if as_ids or generated or self._is_crowded(draft, max(map(_size, given))):
            ids = await self._ids(given, wanted, special=special)
            if prompts.context is not None:
                lengths = fit_each(draft, list(map(len, ids)), prompts.context, DEFAULT_LENGTH)
        generated = generated or lengths is not None
        if shown or (generated and draft.told.echo):
            whole = isinstance(given[0], str) and wanted is None
            draft.told.echoed = given if whole else await prompts.texts_of(given if ids is None else ids)
        if generated and ids is not None:
            generate(draft, ids, lengths, DEFAULT_LENGTH)
        elif as_ids and ids is not given:
            draft.replace(PROMPT, ids[0] if one and ids else ids)

    async def _ids(self, given: list[Any], wanted: cut.Cut | None, *, special: bool) -> list[list[int]]:
        """The same list where they are ids already, and stay."""
        if isinstance(given[0], str):
            return await self._prompts.of_texts(given, wanted, special=special)
        if wanted is None:
            return given
        ids = [wanted(each) for each in given]
        require_tokens(ids)
        return ids

    def _is_crowded(self, draft: Draft, longest: int) -> bool:
        """Whether a prompt of so many bytes or ids may leave less room than is asked for."""
        context = self._prompts.context
        if context is None:
            return False
        asked = draft.number("max_tokens") if draft.given("max_tokens") else None
        return longest + AROUND + (DEFAULT_LENGTH if asked is None else asked) > context


def _is_generated(draft: Draft) -> bool:
    """What /v1/completions of SGLang 0.5.23 cannot tell: the ids of the tokens that have log probabilities, those of a
    prompt that is not echoed, and in a stream the versions of the weights."""
    told = draft.told
    if told.prompt_logprobs is not None:
        return True
    if told.logprobs is not None and (told.tokens_as_ids or draft.policy.return_tokens_as_token_ids):
        return True
    return told.return_weight_versions and "stream" in draft.fields and bool(draft.value("stream"))


def _shows_prompt(draft: Draft) -> bool:
    """Whether the answer's editing must tell the prompt from what the model said."""
    told = draft.told
    return told.only_prompt or (told.echo and told.return_token_ids and told.logprobs is not None)


def _size(prompt: Any) -> int:
    return len(prompt.encode(errors="replace")) if isinstance(prompt, str) else len(prompt)


def _generates(draft: Draft) -> bool:
    """vLLM takes a length of null for none at all, and leaves it no room."""
    raw = draft.sent.get("max_tokens")
    return raw is None or (bytes(raw) != RAW_NULL and draft.number("max_tokens") != 0)
