"""A completion that is longer than the room behind its prompt: vLLM 0.33.0 makes it shorter, SGLang 0.5.23 refuses.
Asked by `middleware.proxy` for every 400, and by `middleware.preparation` where the prompt's length is known before.
"""

import re
from collections.abc import Sequence

from middleware.dialect.errors import message_of
from middleware.dialect.sentences import too_long
from middleware.errors import bad_request
from middleware.fields.asked import HEADROOM
from middleware.fields.draft import Draft
from middleware.fields.told import Kind

_NO_ROOM = re.compile(
    r"Requested token count exceeds the model's maximum context length of (\d+) tokens\. You requested a total of "
    r"\d+ tokens: (\d+) tokens from the input messages and (\d+) tokens for the completion\."
)
# What requests of each kind call the length of their answer.
LENGTHS = {
    Kind.CHAT: ("max_completion_tokens", "max_tokens"),
    Kind.COMPLETION: ("max_tokens",),
    Kind.RESPONSE: ("max_output_tokens",),
}


def fitted(draft: Draft, error: bytes) -> bool:
    """Whether the draft asks for as much as there is room for, and can be sent again."""
    names = LENGTHS.get(draft.told.kind)
    found = _NO_ROOM.match(message_of(error)) if names else None
    if names is None or found is None:
        return False
    context, prompt, wanted = map(int, found.groups())
    room = context - prompt
    # More than the whole context is refused by vLLM as well. Of several prompts SGLang names one, and has begun others:
    # where they may not fit, each has had a length of its own before.
    if room < 1 or wanted > context or draft.told.prompts > 1:
        return False
    if not _lowered(draft, names, room):
        draft.replace(names[-1], room + headroom(draft))
    return True


def fit(draft: Draft, prompt: int, context: int) -> None:
    """The same, or Refused, before SGLang is asked."""
    _require_room(draft, prompt, context)
    _lowered(draft, LENGTHS[draft.told.kind], context - prompt)


def fit_each(draft: Draft, prompts: Sequence[int], context: int, implied: int) -> list[int] | None:
    """The same of several prompts: the length that each may have, where one will not do for all."""
    for prompt in prompts:
        _require_room(draft, prompt, context)
    name = LENGTHS[draft.told.kind][-1]
    wanted = draft.number(name) if draft.given(name) else None
    lengths = [min(implied if wanted is None else wanted, context - prompt) for prompt in prompts]
    if len(set(lengths)) > 1:
        return lengths
    if lengths[0] != wanted:
        draft.replace(name, lengths[0])
    return None


def _require_room(draft: Draft, prompt: int, context: int) -> None:
    if prompt >= context:
        words = too_long(prompt, context, is_ids=draft.told.prompt_is_ids)
        raise bad_request(words, "max_tokens" if prompt == context else "input_tokens")


def _lowered(draft: Draft, names: tuple[str, ...], room: int) -> bool:
    """Whether the request sets a length at all."""
    asked = [name for name in names if draft.given(name)]
    for name in asked:
        number = draft.number(name)
        if number is None or number - headroom(draft) > room:
            draft.replace(name, room + headroom(draft))
    return bool(asked)


def headroom(draft: Draft) -> int:
    """What of a length is there for SGLang alone: `fields.asked.headroom` has put it in."""
    return HEADROOM if draft.told.kind is Kind.RESPONSE else 0
