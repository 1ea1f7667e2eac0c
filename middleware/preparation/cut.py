"""`truncate_prompt_tokens` and `truncation_side`: how much of a prompt the model is shown, as vLLM 0.33.0 cuts it.
Read from a draft by the preparations, which SGLang has no such fields for.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from middleware.errors import bad_value
from middleware.fields.draft import Draft

LIMIT = "truncate_prompt_tokens"
SIDE = "truncation_side"
# Of a tokenizer in front of a model that generates.
DEFAULT_SIDE = "left"
# SGLang 0.5.23 takes no prompt that comes closer to the end of the context; vLLM leaves one token for the answer.
RESERVED = 7


@dataclass(frozen=True, slots=True)
class Cut:
    """`sided`: the request names the side, and then special tokens are cut off like any others."""

    limit: int
    side: str = DEFAULT_SIDE
    sided: bool = False

    def needed(self, prompts: Iterable[list[int]]) -> bool:
        return any(len(ids) > self.limit for ids in prompts)

    def __call__(self, ids: list[int]) -> list[int]:
        if len(ids) <= self.limit:
            return ids
        return ids[len(ids) - self.limit :] if self.side == "left" else ids[: self.limit]

    def inside(self, ids: list[int], bare: list[int]) -> list[int]:
        """`bare` without what the tokenizer puts around it: that stays."""
        room = self.limit - (len(ids) - len(bare))
        starts = range(len(ids) - len(bare) + 1)
        start = next((at for at in starts if ids[at : at + len(bare)] == bare), None)
        if len(ids) <= self.limit or room < 0 or start is None:
            return self(ids)
        kept = Cut(room, self.side)(bare)
        return [*ids[:start], *kept, *ids[start + len(bare) :]]


def wanted(draft: Draft, context: int | None, *, generates: bool) -> Cut | None:
    """-1 is the context, less what there must be for an answer if there is to be one."""
    limit = draft.number(LIMIT) if draft.given(LIMIT) else None
    if limit is None:
        return None
    if context is not None and limit > context:
        raise bad_value(
            f"{LIMIT}={limit} cannot be greater than max_model_len = {context}. "
            "Please request a smaller truncation size.",
            LIMIT,
            limit,
        )
    if limit < 0:
        if context is None:
            return None
        limit = max(0, context - RESERVED) if generates else context
    side = draft.value(SIDE) if draft.given(SIDE) else None
    return Cut(limit, side or DEFAULT_SIDE, sided=side is not None)
