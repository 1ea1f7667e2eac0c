"""The items of a response in vLLM 0.33.0's keys and order: thoughts, a message, calls of functions and of free text.
Made from a chat's whole answer here, and piece by piece in `responses.events`.
"""

import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from middleware.responses.asking import Asked
from middleware.responses.tools import PAYLOAD

Json = dict[str, Any]

COMPLETED, INCOMPLETE, IN_PROGRESS = "completed", "incomplete", "in_progress"
LENGTH = "length"


def new_id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(8)}"


def status_of(finish_reason: Any) -> str:
    return INCOMPLETE if finish_reason == LENGTH else COMPLETED


def text_part(text: str, logprobs: Any = None) -> Json:
    return {"annotations": [], "text": text, "type": "output_text", "logprobs": logprobs}


def message(item_id: str, content: Sequence[Json], status: str) -> Json:
    return {
        "id": item_id,
        "content": content,
        "role": "assistant",
        "status": status,
        "type": "message",
        "phase": None,
    }


def thought_part(text: str) -> Json:
    return {"text": text, "type": "reasoning_text"}


def thought(item_id: str, content: Sequence[Json] | None, status: str | None) -> Json:
    return {
        "id": item_id,
        "summary": [],
        "type": "reasoning",
        "content": content,
        "encrypted_content": None,
        "status": status,
    }


def call(item_id: str, call_id: str, name: str, namespace: str | None, arguments: str, status: str) -> Json:
    return {
        "arguments": arguments,
        "call_id": call_id,
        "name": name,
        "type": "function_call",
        "id": item_id,
        "namespace": namespace,
        "status": status,
    }


def custom_call(item_id: str, call_id: str, name: str, payload: str) -> Json:
    return {
        "call_id": call_id,
        "input": payload,
        "name": name,
        "type": "custom_tool_call",
        "id": item_id,
        "namespace": None,
    }


def payload(arguments: str) -> str:
    """What a tool of free text is called with; text that is no such call is the payload itself."""
    try:
        given = json.loads(arguments)
    except ValueError:
        return arguments
    value = given.get(PAYLOAD) if isinstance(given, dict) else None
    return value if isinstance(value, str) else arguments


def logprobs(given: Any) -> list[Json] | None:
    """A chat's, in the order of another class of OpenAI's."""
    tokens = given.get("content") if isinstance(given, dict) else None
    if not tokens:
        return None
    return [{**_logprob(token), "top_logprobs": [_logprob(top) for top in token["top_logprobs"]]} for token in tokens]


def _logprob(token: Mapping[str, Any]) -> Json:
    return {"token": token["token"], "bytes": token["bytes"], "logprob": token["logprob"]}


def items(choice: Mapping[str, Any], asked: Asked) -> list[Json]:
    """Only the last one can have been cut short."""
    said, status = choice["message"], status_of(choice["finish_reason"])
    text, calls = said.get("content"), said.get("tool_calls") or ()
    found = []
    if said.get("reasoning"):
        found.append(thought(new_id("rs"), [thought_part(said["reasoning"])], None))
    if text or not asked.parsed:
        hidden = asked.parsed and not asked.told.include_reasoning
        parts = [text_part(text, None if hidden else logprobs(choice.get("logprobs")))] if text else []
        found.append(message(new_id("msg"), parts, COMPLETED if calls else status))
    for place, each in enumerate(calls, 1):
        name, arguments = each["function"]["name"], each["function"]["arguments"]
        if name in asked.tools.custom:
            found.append(custom_call(new_id("ctc"), each["id"], name, payload(arguments)))
            continue
        told, namespace = asked.tools.names.get(name, (name, None))
        cut = status if place == len(calls) else COMPLETED
        found.append(call(new_id("fc"), each["id"], told, namespace, arguments, cut))
    return found
