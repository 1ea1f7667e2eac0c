"""The texts that SGLang's own routes are given: a prompt of no tokens at all ends SGLang 0.5.23.
Asked by `prepare` for each such request; most have a letter or a digit, of which every tokenizer makes something.
"""

import re
from collections.abc import Awaitable, Iterator
from typing import Any

from middleware.fields.draft import Draft
from middleware.preparation.prompts import Prompts

_SURE = re.compile(r"[0-9A-Za-z]")


class Natives:
    """work = Natives(prompts).work(draft)   # None, or to be awaited; the request may be Refused"""

    __slots__ = ("_prompts",)

    def __init__(self, prompts: Prompts) -> None:
        self._prompts = prompts

    def work(self, draft: Draft) -> Awaitable[None] | None:
        doubtful = [text for text in _texts(draft) if _SURE.search(text) is None]
        return self._require(doubtful) if doubtful else None

    async def _require(self, texts: list[str]) -> None:
        """Of these only the tokenizer knows: an empty one has a token where the model's has one to begin with."""
        await self._prompts.of_texts(texts, None, special=True)


def _texts(draft: Draft) -> Iterator[str]:
    """Of /generate and /encode, of Vertex AI's instances, and of Ollama's prompts, before which the system's stands."""
    given = draft.value("text")
    for item in given if isinstance(given, list) else [given]:
        # A pair for a cross encoder is one prompt.
        yield from _text("".join(map(str, item)) if isinstance(item, list) else item)
    instances = draft.value("instances")
    for instance in instances if isinstance(instances, list) else []:
        yield from _text(instance.get("text") if isinstance(instance, dict) else None)
    prompt, system = draft.value("prompt"), draft.value("system")
    if isinstance(prompt, str) and prompt.strip():
        yield f"{system}{prompt}" if isinstance(system, str) else prompt


def _text(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
