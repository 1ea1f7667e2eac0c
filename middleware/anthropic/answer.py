"""A chat's answer as vLLM 0.33.0 tells it to Anthropic's clients (entrypoints/anthropic/serving.py): why it ended, how
many tokens, its blocks in order, and errors in Anthropic's envelope. Called by `endpoints.messages` and by `stream`.
"""

import json
import secrets
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from middleware.dialect.events import MISSHAPEN, decode, encode
from middleware.errors import SCHEMA_TYPE, Refused, bad_request

Json = dict[str, Any]

ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}
_OURS = (b"content-length", b"content-type")


def message(answer: Mapping[str, Any]) -> Json:
    """Of a whole chat, which has one choice; without nulls."""
    choice = answer["choices"][0]
    said = choice["message"]
    calls = said.get("tool_calls") or []
    blocks: list[Json] = []
    if said.get("reasoning"):
        blocks.append({"type": "thinking", "thinking": said["reasoning"], "signature": signature()})
    if said.get("content"):
        blocks.append({"type": "text", "text": said["content"]})
    blocks += map(_call, calls)
    why, sequence = ending(choice["finish_reason"], choice.get("stop_reason"), called=bool(calls), whole=bool(calls))
    told = {
        "id": answer["id"],
        "type": "message",
        "role": "assistant",
        # Some clients take a first block for granted.
        "content": blocks or [{"type": "text", "text": ""}],
        "model": answer["model"],
        "stop_reason": why,
        "stop_sequence": sequence,
        "usage": usage(answer.get("usage")),
    }
    return {name: value for name, value in told.items() if value is not None}


def _call(call: Mapping[str, Any]) -> Json:
    """Arguments that the length has cut off are an error in vLLM too, in the words of Python's reader."""
    try:
        given = json.loads(call["function"]["arguments"])
    except ValueError as why:
        raise bad_request(str(why)) from why
    if not isinstance(given, dict):
        raise bad_request("The arguments of a call of a tool are no JSON object.")
    return {"type": "tool_use", "id": call["id"], "name": call["function"]["name"], "input": given}


def signature() -> str:
    """Anthropic's clients send it back with the thought; nobody checks it."""
    return secrets.token_hex(16)


def usage(counted: Mapping[str, Any] | None) -> Json:
    """What the cache had is told beside the input and not in it, with --enable-prompt-tokens-details."""
    if counted is None:
        return {"input_tokens": 0, "output_tokens": 0}
    details = counted.get("prompt_tokens_details") or {}
    told = {
        "cache_creation_input_tokens": details.get("created_cache_tokens"),
        "cache_read_input_tokens": details.get("cached_tokens"),
    }
    cached: dict[str, int] = {name: number for name, number in told.items() if number is not None}
    return {
        "input_tokens": max(0, counted["prompt_tokens"] - sum(cached.values())),
        "output_tokens": counted.get("completion_tokens") or 0,
        **cached,
    }


def ending(finish: str | None, stop: object, *, called: bool, whole: bool) -> tuple[str | None, str | None]:
    """`stop_reason` and `stop_sequence`: a stop string wins over a call of a tool, unless all calls are whole."""
    if finish == "length":
        return "max_tokens", None
    if finish not in ("stop", "tool_calls"):
        return None, None
    if whole:
        return "tool_use", None
    if isinstance(stop, str):
        return "stop_sequence", stop
    if finish == "tool_calls" or called:
        return "tool_use", None
    return "end_turn", None


def error(status: int, words: str) -> Json:
    kind = ERRORS.get(status, "api_error" if status >= 500 else "invalid_request_error")
    return {"type": kind, "message": words}


def retold(status: int, body: bytes) -> bytes:
    """An error of the chat in Anthropic's envelope; what is none goes on as it came."""
    try:
        words = decode(body)["error"]["message"]
    except (*MISSHAPEN, RecursionError):
        return body
    return encode({"type": "error", "error": error(status, words)})


def refused(refusal: Refused) -> Refused:
    """The same of a refusal of ours; of what does not fit the schema vLLM tells as everywhere."""
    response = refusal.response
    body = bytes(response.body)
    if SCHEMA_TYPE.encode() in body and decode(body)["error"]["type"] == SCHEMA_TYPE:
        return refusal
    told = Response(retold(response.status_code, body), response.status_code, media_type="application/json")
    told.raw_headers += [header for header in response.raw_headers if header[0] not in _OURS]
    return Refused(told, refusal.rule)
