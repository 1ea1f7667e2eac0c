"""Text to token ids, by SGLang's own tokenizer; and what ids may be sent to it.
Used by /tokenize, and by the pooling endpoints for what SGLang would not take as text.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec

from middleware.calls import Calls
from middleware.context import Context
from middleware.errors import bad_request
from middleware.fields.edit import Editor
from middleware.fields.others import TOKENIZE
from middleware.prompt.request import BOTH

# What a chat's prompt depends on, and what SGLang's /tokenize calls by the same names.
CHAT_FIELDS = ("messages", "tools", "chat_template_kwargs", "continue_final_message")
RENDERED_FIELDS = (*CHAT_FIELDS, "chat_template")


class _Many(msgspec.Struct):
    tokens: list[list[int]]


class _One(msgspec.Struct):
    tokens: list[int]


class _Text(msgspec.Struct):
    text: str


async def of_texts(calls: Calls, texts: Sequence[str], *, special: bool) -> list[list[int]]:
    answer = await calls.value("/tokenize", {"prompt": list(texts), "add_special_tokens": special}, _Many)
    return answer.tokens


async def of_text(calls: Calls, text: str, *, special: bool) -> list[int]:
    answer = await calls.value("/tokenize", {"prompt": text, "add_special_tokens": special}, _One)
    return answer.tokens


async def text_of(calls: Calls, ids: Sequence[int]) -> str:
    """Without special tokens, as an echo has it."""
    return (await calls.value("/detokenize", {"tokens": ids, "skip_special_tokens": True}, _Text)).text


async def of_chat(
    context: Context, body: dict[str, Any], *, generation: bool, special: bool, names: Sequence[str] = RENDERED_FIELDS
) -> list[int]:
    """As a chat request with these fields would see it; `names` are those that vLLM heeds.

    SGLang's /tokenize (0.5.23) takes a trailing assistant message for the user's, unless told add_generation_prompt;
    and opens the turn that is to be continued only where that is true, which vLLM forbids.
    """
    continued = bool(body.get("continue_final_message"))
    if continued and body.get("add_generation_prompt"):
        raise bad_request(BOTH)
    checked = await asyncio.to_thread(_checked, context, body)
    if context.render is not None:
        rendered = {name: body[name] for name in names if name in body}
        rendered |= {"add_generation_prompt": generation, "add_special_tokens": special}
        ids = await context.render(rendered)
        if ids is not None:
            return ids
    asked = {**checked, "add_generation_prompt": generation or continued, "add_special_tokens": special}
    return (await context.calls.value("/tokenize", asked, _One)).tokens


def _checked(context: Context, body: dict[str, Any]) -> dict[str, msgspec.Raw]:
    """A request that is made here passes the table of its fields too: media that may be read, templates, tools."""
    settings = context.settings
    draft = Editor(TOKENIZE, settings.strip_params, settings.policy).open(msgspec.json.encode(body))
    return {name: draft.fields[name] for name in CHAT_FIELDS if draft.given(name)}


def require_in_vocabulary(context: Context, ids: Sequence[int], what: str = "Token id") -> None:
    """One id outside the vocabulary ends SGLang 0.5.23: an IndexError in the embedding layer."""
    if not ids:
        return
    size = context.model.vocabulary
    lowest, highest = min(ids), max(ids)
    if lowest < 0:
        raise bad_request(f"{what} {lowest} is out of vocabulary")
    if highest >= (size or 1 << 31):
        raise bad_request(f"{what} {highest} is out of vocabulary")
