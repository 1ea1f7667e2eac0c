"""THE table of stored responses: vLLM 0.33.0's keys from SGLang 0.5.23's, whole and in the events that hold a response.
The response's id is the one that SGLang was given, and its calls keep theirs, so that it finds them again. What is not
stored is a chat: `middleware.responses`.
"""

import re
from typing import Any

from middleware.dialect import ends
from middleware.dialect.errors import retold_error
from middleware.dialect.events import DATA, END, Events, decode, encode
from middleware.dialect.keys import ABSENT, NEVER, Json, Key, Source, made, null, rebuild, same, told_id, told_model
from middleware.dialect.scrub import scrubbed
from middleware.dialect.voice import Voice
from middleware.fields.asked import HEADROOM
from middleware.fields.told import Told
from middleware.responses.tools import repeated

# Of items: SGLang's with a whole UUID, vLLM's with half of one.
_LONG_ID = re.compile(r"[a-z]+_[0-9a-f]{32}")
HALF = 16
_ITEM_ID = b'"item_id":"'


def _tool_choice(response: Source, told: Told, voice: Voice) -> Any:
    return response.get("tool_choice") if response.get("tools") else "none"


def _or_null(name: str) -> Any:
    def make(response: Source, told: Told, voice: Voice) -> Any:
        """SGLang fills in what the client did not give."""
        value = response.get(name)
        given = any(value.values()) if isinstance(value, dict) else value
        return value if given else None

    return make


def _text(response: Source, told: Told, voice: Voice) -> Any:
    text = response.get("text")
    if not isinstance(text, dict) or text == {"format": {"type": "text"}}:
        return None
    form = text.get("format")
    if isinstance(form, dict) and form.get("type") == "json_schema":
        text = {**text, "format": {"description": None, "strict": None, **form}}
    return {"verbosity": None, **text}


def _top_p(response: Source, told: Told, voice: Voice) -> Any:
    value = response.get("top_p")
    return 1.0 if value is None else value


def _zero(name: str) -> Any:
    def make(response: Source, told: Told, voice: Voice) -> Any:
        return response.get(name) or 0.0

    return make


def _usage(response: Source, told: Told, voice: Voice) -> Any:
    usage = response.get("usage")
    if not usage:
        return None
    details, output = usage.get("input_tokens_details") or {}, usage.get("output_tokens_details") or {}
    return {
        "input_tokens": usage["input_tokens"],
        "input_tokens_details": {
            "cached_tokens": details.get("cached_tokens") or 0,
            "cache_write_tokens": details.get("cache_write_tokens") or 0,
            "input_tokens_per_turn": [],
            "cached_tokens_per_turn": [],
        },
        "output_tokens": usage["output_tokens"],
        "output_tokens_details": {
            "reasoning_tokens": output.get("reasoning_tokens") or 0,
            "tool_output_tokens": 0,
            "output_tokens_per_turn": [],
            "tool_output_tokens_per_turn": [],
        },
        "total_tokens": usage["total_tokens"],
    }


def _output(response: Source, told: Told, voice: Voice) -> Any:
    """Thoughts have no status, and a message that was cut off is incomplete like its response."""
    items = [item(each) for each in response.get("output") or ()]
    for each in items:
        if each.get("type") == "reasoning":
            each["status"] = None
    if items and response.get("status") == "incomplete" and items[-1].get("type") in ("message", "function_call"):
        items[-1]["status"] = "incomplete"
    return items


def _tools(response: Source, told: Told, voice: Voice) -> Any:
    """Without what SGLang's one class for all of them has besides."""
    return [repeated(tool) if tool.get("type") == "function" else tool for tool in response.get("tools") or ()]


def _error(response: Source, told: Told, voice: Voice) -> Any:
    error = response.get("error")
    return {**error, "message": scrubbed(str(error.get("message")))} if isinstance(error, dict) else ABSENT


def _length(response: Source, told: Told, voice: Voice) -> Any:
    value = response.get("max_output_tokens")
    return value - HEADROOM if isinstance(value, int) else value


def _top_logprobs(response: Source, told: Told, voice: Voice) -> Any:
    return told.top_logprobs


def _background(response: Source, told: Told, voice: Voice) -> Any:
    return bool(response.get("background"))


def _service_tier(response: Source, told: Told, voice: Voice) -> Any:
    return response.get("service_tier") or "auto"


WHOLE: tuple[Key, ...] = (
    made("id", told_id, "the client's, or the one that SGLang was given"),
    same("created_at"),
    same("incomplete_details"),
    same("instructions"),
    made("metadata", _or_null("metadata"), "null where the client gave none"),
    made("model", told_model, "as the client named it"),
    same("object"),
    made("error", _error, "only where there is one: a stream ends with it"),
    made("output", _output, "phase is null"),
    same("parallel_tool_calls"),
    same("temperature"),
    made("tool_choice", _tool_choice, "none without tools"),
    made("tools", _tools, "vLLM's keys alone"),
    made("top_p", _top_p, "1.0 where the client gave none"),
    made("background", _background, "said either way"),
    made("max_output_tokens", _length, "as the client asked: SGLang was asked for more"),
    same("max_tool_calls"),
    same("previous_response_id"),
    same("prompt"),
    null("prompt_cache_options", NEVER),
    same("prompt_cache_key"),
    null("prompt_cache_retention", NEVER),
    made("reasoning", _or_null("reasoning"), "null where the client gave none"),
    same("safety_identifier"),
    made("service_tier", _service_tier, "auto where the client gave none"),
    same("status"),
    made("text", _text, "null where the client gave none"),
    made("top_logprobs", _top_logprobs, "as the client asked"),
    same("truncation"),
    made("usage", _usage, "SGLang counts no turns"),
    same("user"),
    made("presence_penalty", _zero("presence_penalty"), "0.0 where the client gave none"),
    made("frequency_penalty", _zero("frequency_penalty"), "0.0 where the client gave none"),
    null("kv_transfer_params", NEVER),
    null("ec_transfer_params", NEVER),
    null("input_messages", NEVER),
    null("output_messages", NEVER),
)


def whole(response: Source, told: Told, voice: Voice) -> Json:
    return rebuild(WHOLE, response, told, voice)


def item(given: Source) -> Json:
    """vLLM does not say which of several messages is the answer, and its ids are shorter."""
    told = {**given, "phase": None} if "phase" in given else dict(given)
    if told.get("type") == "function_call":
        told.setdefault("namespace", None)
    if isinstance(told.get("id"), str):
        told["id"] = shorter(told["id"])
    return told


def shorter(item_id: str) -> str:
    return item_id[:-HALF] if _LONG_ID.fullmatch(item_id) else item_id


class ResponseStream(Events):
    """Read are the events with a response or an item in them; the pieces of text go on as they are."""

    __slots__ = ("_told", "_voice")

    def __init__(self, told: Told, voice: Voice) -> None:
        super().__init__()
        self._told = told
        self._voice = voice

    def edited(self, event: bytes) -> bytes:
        if b'"response":{' not in event and b'"item":{' not in event and b'"error":' not in event:
            if b'"type":"response.content_part.added"' in event:
                event = event.replace(b'"logprobs":null', b'"logprobs":[]')
            return _with_shorter_id(event) + END
        name, marker, data = event.rpartition(DATA)
        given = decode(data)
        if isinstance(given.get("response"), dict):
            ends.of_answer(given["response"], self._told)
            given["response"] = whole(given["response"], self._told, self._voice)
        elif isinstance(given.get("item"), dict):
            given["item"] = item(given["item"])
        elif "error" in given and "type" not in given:
            return name + marker + retold_error(given["error"], self._told) + END
        else:
            return event + END
        return name + marker + encode(given) + END


def _with_shorter_id(event: bytes) -> bytes:
    """Of a piece, which names its item."""
    at = event.find(_ITEM_ID) + len(_ITEM_ID)
    end = event.find(b'"', at)
    if at < len(_ITEM_ID) or end < at:
        return event
    return event[:at] + shorter(event[at:end].decode()).encode() + event[end:]
