"""The prompts of completions: a text, texts, a list of token ids, or lists of them; told from their first bytes.
A repair of the table of completions, because a prompt that is missing is one that is wrong.
"""

import re

import msgspec

from middleware.errors import bad_request, bad_value
from middleware.fields.draft import Draft
from middleware.fields.limits import prompts
from middleware.fields.tokens import no_prompt, prompt_ids

PROMPT = "prompt"

_TEXTS = msgspec.json.Decoder(list[str])
_BEGINNING = re.compile(rb"\s*(\[\s*\[?\s*)?(.?)", re.DOTALL)
_NUMBER = b"-0123456789"


def prompt_given(draft: Draft) -> None:
    raw = draft.fields.get(PROMPT)
    text = b"null" if raw is None else bytes(raw)
    if text in (b"null", b'""'):
        raise bad_value("Either prompt or prompt_embeds must be provided and non-empty.", PROMPT)
    beginning = _BEGINNING.match(text)
    assert beginning is not None
    brackets, first = beginning.groups()
    if not brackets:
        if first != b'"':
            raise no_prompt(msgspec.json.decode(text), PROMPT)
        return
    if first == b"]" and brackets.count(b"[") == 1:
        raise bad_value("You must pass at least one prompt", PROMPT)
    prompts(draft, PROMPT)
    if first and first in _NUMBER:
        prompt_ids(draft, PROMPT)
    elif first == b'"' and brackets.count(b"[") == 1:
        _texts(text)
    elif first == b"]":
        raise bad_request("The decoder prompt cannot be empty")
    else:
        raise no_prompt(msgspec.json.decode(text), PROMPT)


def _texts(text: bytes) -> None:
    try:
        texts = _TEXTS.decode(text)
    except msgspec.ValidationError:
        raise no_prompt(msgspec.json.decode(text), PROMPT) from None
    if "" in texts:
        raise bad_request("The decoder prompt cannot be empty")
