"""A chat whose prompt SGLang would make otherwise than vLLM goes out as the token ids that vLLM would show the model.
Asked by `prepare` for each chat request; one that both show alike costs a look at its messages.
"""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any

import msgspec

from middleware.aside import LARGE
from middleware.dialect.room import fit
from middleware.errors import bad_value
from middleware.fields.common import PROMPT_FIELDS
from middleware.fields.draft import Draft
from middleware.fields.ending import GENERATION
from middleware.fields.messages import MESSAGES
from middleware.fields.trust import KWARGS
from middleware.fields.wanted import PROMPT_IDS_IN_STREAM
from middleware.locate import NotHere
from middleware.preparation import cut
from middleware.preparation.prompts import Prompts, require_tokens
from middleware.prompt.conversation import BILLING_HEADER, conversation
from middleware.prompt.failures import BadPrompt, CannotRender
from middleware.prompt.needs import FIELDS, FLAGS, OVERRIDDEN, not_text
from middleware.prompt.request import truth

IDS = "input_ids"
CONTINUES = "continue_final_message"
AS_IDS = "return_tokens_as_token_ids"
# All of a request that its prompt depends on.
NAMES = (*FIELDS, *FLAGS, KWARGS, "tool_choice")
# Of a text that is decoded though nobody needs it.
SHORT = 4 * 1024
# Longer requests are rendered in a thread: short messages of 64 KB take 3 ms, and 1.5 ms to be looked at.
RENDERED = 8 * 1024
# Arguments of a template that no one needs any more when the prompt is there.
USED_UP = frozenset({"documents", "chat_template"})

_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_EMPTY = {"role": "user", "content": ""}
_CALL = {"id": "", "type": "function", "function": {"name": "", "arguments": "{}"}}


class Chats:
    """work = Chats(prompts).work(draft)   # None, or to be awaited; it changes the draft, or is Refused"""

    __slots__ = ("_prompts",)

    def __init__(self, prompts: Prompts) -> None:
        self._prompts = prompts

    def work(self, draft: Draft) -> Awaitable[None] | None:
        if draft.told.echo:
            draft.told.echoed = _last_said(draft)
        if _tells_ids(draft):
            return self._with_ids(draft)
        return self._shown(draft)

    async def _with_ids(self, draft: Draft) -> None:
        """SGLang's streams tell the bytes of their tokens, and no ids."""
        try:
            draft.told.ids_by_bytes = await self._prompts.ids_by_bytes()
        except NotHere as failure:
            raise bad_value(f"{AS_IDS} is not supported in streams of this model's: {failure}", AS_IDS) from failure
        if (work := self._shown(draft)) is not None:
            await work

    def _shown(self, draft: Draft) -> Awaitable[None] | None:
        if draft.given(IDS):
            self._own_ids(draft)
            return None
        if len(draft.body) > LARGE:
            fields = skimmed(draft.sent, draft.texts) if draft.texts is not None else {}
            return None if fields and not self._needs(draft, fields) else self._long(draft)
        fields = decoded(draft.sent)
        return self._rendered(draft, fields) if self._needs(draft, fields) else None

    async def _long(self, draft: Draft) -> None:
        def look() -> tuple[dict[str, Any], bool]:
            fields = decoded(draft.sent)
            return fields, self._needs(draft, fields)

        fields, needed = await asyncio.to_thread(look)
        if needed:
            await self._rendered(draft, fields)

    def _needs(self, draft: Draft, fields: Mapping[str, Any]) -> bool:
        """Ids are also wanted by whoever streams and must have them before the first token."""
        wanted = _wants_ids_first(draft) or draft.told.return_prompt_text
        return (bool(fields) and (wanted or self._prompts.why(fields) is not None)) or any(
            name in draft.fields for name in PROMPT_FIELDS
        )

    def _own_ids(self, draft: Draft) -> None:
        """The client has rendered by itself, which is SGLang's way and not vLLM's."""
        if draft.texts is None and (media := not_text(draft.value(MESSAGES))) is not None:
            raise bad_value(f"A prompt of token ids leaves no place for {media}: SGLang would not see it.", MESSAGES)
        ids = draft.value(IDS)
        context = self._prompts.context
        wanted = cut.wanted(draft, context, generates=True)
        if wanted is not None and wanted.needed([ids]):
            ids = wanted(ids)
            draft.replace(IDS, ids)
            require_tokens([ids])
        if context is not None:
            fit(draft, len(ids), context)
        _leave_out(draft)
        if draft.told.return_token_ids:
            draft.told.prompt_token_ids = ids
        if _wants_ids_first(draft):
            draft.drop(PROMPT_IDS_IN_STREAM)

    async def _rendered(self, draft: Draft, fields: Mapping[str, Any]) -> None:
        prompts = self._prompts
        wanted = cut.wanted(draft, prompts.context, generates=True)
        if not fields:
            _forward(draft, fields, "It cannot be read.")
            return
        try:
            text, ids = await prompts.of_chat(fields, wanted, long=len(draft.body) > RENDERED)
        except CannotRender as failure:
            prompts.say(str(failure))
            _forward(draft, fields, str(failure))
            return
        if prompts.context is not None:
            fit(draft, len(ids), prompts.context)
        _leave_out(draft)
        draft.replace(IDS, ids)
        draft.replace(MESSAGES, history(fields[MESSAGES]))
        if CONTINUES in draft.fields:
            draft.drop(CONTINUES)
        _reargue(draft, USED_UP)
        if draft.told.return_prompt_text:
            draft.told.prompt_text = text
        if draft.told.return_token_ids:
            draft.told.prompt_token_ids = ids
        if _wants_ids_first(draft):
            draft.drop(PROMPT_IDS_IN_STREAM)


def decoded(sent: Mapping[str, msgspec.Raw]) -> dict[str, Any]:
    """What the prompt depends on. Nothing where it cannot be read: half of an emoji is SGLang's to refuse."""
    try:
        fields: dict[str, Any] = {name: msgspec.json.decode(sent[name]) for name in NAMES if name in sent}
        # One by one, with room for other threads between them.
        messages = [msgspec.json.decode(raw) for raw in _LIST.decode(sent[MESSAGES])]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return {**fields, MESSAGES: messages}


def skimmed(sent: Mapping[str, msgspec.Raw], texts: Sequence[Mapping[str, msgspec.Raw]]) -> dict[str, Any]:
    """The same with long texts left out, which say nothing about who must render them. Empty where one might."""
    try:
        fields: dict[str, Any] = {name: msgspec.json.decode(sent[name]) for name in NAMES if name in sent}
        messages = [_skimmed(message) for message in texts]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return {} if None in messages else {**fields, MESSAGES: messages}


def _skimmed(message: Mapping[str, msgspec.Raw]) -> dict[str, Any] | None:
    content = message.get("content")
    if content is None or len(content) <= SHORT:
        return {name: msgspec.json.decode(value) for name, value in message.items()}
    beginning = bytes(memoryview(content)[: len(BILLING_HEADER) + 1])
    if b"\\" in beginning or beginning[1:] == BILLING_HEADER.encode():
        return None
    return {name: "" if name == "content" else msgspec.json.decode(value) for name, value in message.items()}


def history(messages: Sequence[Any]) -> list[dict[str, Any]]:
    """SGLang still asks for messages. It reads one thing in them: how many calls there were, to number the next."""
    said = [m.get("tool_calls") for m in messages if isinstance(m, dict) and m.get("role") == "assistant"]
    calls = sum(len(each) for each in said if isinstance(each, list))
    return [_EMPTY, {"role": "assistant", "content": "", "tool_calls": [_CALL] * calls}] if calls else [_EMPTY]


def _last_said(draft: Draft) -> tuple[str, ...]:
    """What the answer goes on from, or would: the last message's text, if that is of the answer's role."""
    try:
        [last] = _LIST.decode(draft.sent[MESSAGES])[-1:]
        [message] = conversation([msgspec.json.decode(last)], "string")
    except (ValueError, msgspec.DecodeError, BadPrompt, CannotRender):
        return ()
    role = draft.told.role or draft.policy.response_role
    return (message["content"],) if message["role"] == role and message["content"] else ()


def _tells_ids(draft: Draft) -> bool:
    as_ids = draft.told.tokens_as_ids or draft.policy.return_tokens_as_token_ids
    return as_ids and draft.given("logprobs") and bool(draft.value("logprobs")) and bool(draft.value("stream"))


def _wants_ids_first(draft: Draft) -> bool:
    return draft.told.return_token_ids and PROMPT_IDS_IN_STREAM in draft.fields


def _forward(draft: Draft, fields: Mapping[str, Any], why: str) -> None:
    """SGLang renders; what it would not heed and changes the prompt is refused."""
    if truth(fields.get(CONTINUES)):
        messages = fields[MESSAGES]
        if not isinstance(messages[-1], dict) or messages[-1].get("role") != "assistant":
            raise _unsupported(CONTINUES, why)
    elif GENERATION in draft.fields:
        raise _unsupported(GENERATION, why)
    if draft.told.return_prompt_text:
        raise _unsupported("return_prompt_text", why)
    for name in ("add_special_tokens", cut.LIMIT):
        if name in draft.fields:
            raise _unsupported(name, why)
    _leave_out(draft)
    _reargue(draft, OVERRIDDEN)


def _unsupported(name: str, why: str) -> Exception:
    return bad_value(f"{name} is not supported for this request, whose prompt is SGLang's to render: {why}", name)


def _leave_out(draft: Draft) -> None:
    for name in PROMPT_FIELDS:
        if name in draft.fields:
            draft.drop(name)


def _reargue(draft: Draft, without: frozenset[str]) -> None:
    kwargs = draft.value(KWARGS) if KWARGS in draft.fields else None
    if isinstance(kwargs, dict) and not without.isdisjoint(kwargs):
        draft.replace(KWARGS, {name: value for name, value in kwargs.items() if name not in without})
