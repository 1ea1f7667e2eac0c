"""What is awaited of a request that is decided, before it is sent: checks that take long, and its prompt's token ids.
Called by `middleware.proxy` for every request with a table; for most there is nothing to await.
"""

import asyncio
from collections.abc import Awaitable

from middleware.fields.draft import Draft
from middleware.fields.told import Kind
from middleware.preparation.chat import Chats
from middleware.preparation.completion import Completions
from middleware.preparation.native import Natives
from middleware.preparation.prompts import Prompts
from middleware.preparation.tokens_in import TokenPrompts
from middleware.repair.guards import too_deep


class Preparation:
    """work = prepare(draft)   # None, or to be awaited; it changes the draft, or is Refused"""

    __slots__ = ("_chats", "_completions", "_natives", "_tokens")

    def __init__(self, prompts: Prompts) -> None:
        self._chats = Chats(prompts)
        self._completions = Completions(prompts)
        self._natives = Natives(prompts)
        self._tokens = TokenPrompts(prompts)

    def __call__(self, draft: Draft) -> Awaitable[None] | None:
        return self._after_checks(draft) if draft.deferred else self._work(draft)

    def _work(self, draft: Draft) -> Awaitable[None] | None:
        if draft.told.kind is Kind.CHAT:
            return self._chats.work(draft)
        if draft.told.kind is Kind.COMPLETION:
            return self._completions.work(draft)
        if draft.told.kind is Kind.TOKENS:
            self._tokens.work(draft)
            return None
        return self._natives.work(draft) if draft.prompts else None

    async def _after_checks(self, draft: Draft) -> None:
        for check in draft.deferred or ():
            try:
                await asyncio.to_thread(check)
            except RecursionError as exc:
                raise too_deep() from exc
        work = self._work(draft)
        if work is not None:
            await work
