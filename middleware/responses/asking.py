"""A request of /v1/responses as a request of chat, and what its answer must know of it.
Called by `middleware.endpoints.responses` with a draft that the table of responses has decided.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from middleware.errors import bad_value
from middleware.fields.asked import LENGTH
from middleware.fields.bounds import GREEDY
from middleware.fields.draft import Draft
from middleware.fields.kinds import DICT, STR, Errors, FieldType, one_of, wrong
from middleware.fields.told import Told
from middleware.responses import items, tools
from middleware.responses.tools import Tools

Json = dict[str, Any]

LOGPROBS = "message.output_text.logprobs"
# Chat's by the same name, and the same to it.
FORWARDED = (
    "stream",
    "user",
    "stop",
    "priority",
    "cache_salt",
    "mm_processor_kwargs",
    "media_io_kwargs",
    "frequency_penalty",
    "presence_penalty",
    "repetition_penalty",
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "parallel_tool_calls",
    "structured_outputs",
    "chat_template_kwargs",
    "seed",
    "stop_token_ids",
    "logit_bias",
    "ignore_eos",
    "include_stop_str_in_output",
    "skip_special_tokens",
    "spaces_between_special_tokens",
    "include_reasoning",
    "extra_key",
    "routed_dp_rank",
    "data_parallel_rank",
)
# What the answer repeats of the request.
REPEATED = (
    "instructions",
    "metadata",
    "parallel_tool_calls",
    "temperature",
    "top_p",
    "max_tool_calls",
    "prompt_cache_options",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "text",
    "truncation",
    "user",
    "presence_penalty",
    "frequency_penalty",
)


@dataclass(frozen=True, slots=True)
class Asked:
    chat: bytes
    # By the names of the request, nulls left out.
    repeated: Mapping[str, Any]
    told: Told
    tools: Tools
    stream: bool = False
    # Whether somebody parts thoughts and calls from the text; without anybody there is a message even of no text.
    parsed: bool = False
    # How long the answer may be, and how long it may be with its prompt; None: nobody said.
    length: int | None = None
    context: int | None = None

    def room(self, prompt: int) -> int | None:
        limits = [limit for limit in (self.length, self.context and self.context - prompt) if limit is not None]
        return min(limits, default=None)


def asked(draft: Draft, context: int | None) -> Asked:
    policy = draft.policy
    given = draft.value(items.INPUT)
    known = tools.read(draft.value("tools") or ())
    told_choice, choice = tools.choice(draft.value(tools.CHOICE) or "auto", known, policy)
    length = draft.number(LENGTH) if draft.given(LENGTH) else None
    chat: Json = {name: draft.fields[name] for name in FORWARDED if draft.given(name)}
    chat["messages"] = items.messages(draft.value("instructions"), given)
    chat["request_id"] = draft.told.id
    if draft.told.model is not None:
        chat["model"] = draft.told.model
    if known.shown and choice is not None:
        chat |= {"tools": known.shown, tools.CHOICE: choice}
    if length is not None:
        chat["max_completion_tokens"] = length
    if items.goes_on(given):
        chat |= {"continue_final_message": True, "add_generation_prompt": False}
    if draft.value("truncation") == "auto":
        chat["truncate_prompt_tokens"] = -1
    if (effort := (draft.value("reasoning") or {}).get("effort")) is not None:
        chat["reasoning_effort"] = effort
    repeated = {name: value for name in REPEATED if (value := draft.value(name)) is not None}
    if LOGPROBS in (draft.value("include") or ()):
        repeated["top_logprobs"] = draft.number("top_logprobs") or 0
        chat |= {"logprobs": True, "top_logprobs": repeated["top_logprobs"]}
    _constrain(draft, chat, repeated.get("text") or {})
    if not repeated.get("temperature", 1.0) >= GREEDY:
        repeated["top_p"] = 1.0  # vLLM takes away what has no meaning then.
    repeated |= {"tools": known.told, tools.CHOICE: told_choice}
    stream = bool(draft.value("stream"))
    if stream:
        # How long the prompt is, is told at once only where every chunk counts. The first event wants it, to say how
        # long the answer may be, unless there is room enough in any case: a token is a byte at least.
        counted = length is None or context is None or length + len(draft.body) > context
        chat["stream_options"] = {"include_usage": True, "continuous_usage_stats": counted}
    parsed = policy.reasoning_parser or tools.finds_calls(policy)
    return Asked(msgspec.json.encode(chat), repeated, draft.told, known, stream, parsed, length, context)


def _text(value: Any, loc: str, errors: Errors) -> Any:
    form = value.get("format") if isinstance(DICT.read(value, loc, errors), dict) else None
    if form is None:
        return value
    at = f"{loc}.format"
    if isinstance(DICT.read(form, at, errors), dict):
        one_of("text", "json_object", "json_schema").read(form.get("type"), f"{at}.type", errors)
        for name, kind in (("name", STR), ("schema", DICT)) if form.get("type") == "json_schema" else ():
            if name in form:
                kind.read(form[name], f"{at}.json_schema.{name}", errors)
            else:
                wrong(errors, "missing", f"{at}.json_schema.{name}", "Field required", form)
    return value


TEXT = FieldType("text", _text)


def _constrain(draft: Draft, chat: Json, text: Json) -> None:
    form = text.get("format")
    if not isinstance(form, dict):
        return
    if draft.given("structured_outputs"):
        raise bad_value("Cannot specify both structured_outputs and text.format", "structured_outputs")
    if form["type"] == "json_object":
        chat["response_format"] = {"type": "json_object"}
    elif form["type"] == "json_schema":
        chat["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": form["name"], "schema": form["schema"]},
        }
