"""Tool calls as vLLM tells them, in whole answers and piece by piece.
Part of the tables of chat.
"""

import re
import secrets
from collections.abc import Iterable, Mapping
from typing import Any

from middleware.dialect.keys import Json
from middleware.fields.told import Told

PREFIX = "chatcmpl-tool-"
NAMED = "named"
FORCED = frozenset({"required", NAMED})
# SGLang's of no meaning; those of other forms are the model's own (Kimi K2), and its template reads them again.
_RANDOM = re.compile(r"call_[0-9a-f]{24}")


def call_id(given: str) -> str:
    return PREFIX + secrets.token_hex(8) if _RANDOM.fullmatch(given) else given


def whole(calls: Iterable[Mapping[str, Any]], told: Told) -> list[Json]:
    all_of_them = [
        {
            "id": call_id(call["id"]),
            "type": "function",
            "function": {"name": call["function"]["name"], "arguments": call["function"]["arguments"]},
        }
        for call in calls
    ]
    return all_of_them if told.parallel_tool_calls else all_of_them[:1]


def pieces(calls: Iterable[Mapping[str, Any]], told: Told) -> list[Json]:
    """The first piece of a call has its id and name, and no arguments as long as there are none."""
    return [_piece(call) for call in calls if told.parallel_tool_calls or call["index"] == 0]


def _piece(call: Mapping[str, Any]) -> Json:
    function: Json = {}
    name, arguments = call["function"].get("name"), call["function"].get("arguments")
    if name is not None:
        function["name"] = name
    if arguments or name is None:
        function["arguments"] = arguments or ""
    if call.get("id") is None:
        return {"index": call["index"], "function": function}
    return {"id": call_id(call["id"]), "type": "function", "index": call["index"], "function": function}


def finish_reason(given: Any, told: Told) -> Any:
    """Of a function that was named vLLM says that the model stopped, of any other that it called."""
    return "stop" if given == "tool_calls" and told.tool_choice == NAMED else given


def stop_reason(matched: Any, told: Told) -> Any:
    """A stop string, or a token that the client named; SGLang has the end-of-sequence token there as well."""
    if isinstance(matched, int) and matched not in told.stop_token_ids:
        return None
    return matched
