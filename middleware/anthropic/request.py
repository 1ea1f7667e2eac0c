"""A request to /v1/messages as the chat that vLLM 0.33.0 makes of it (entrypoints/anthropic/serving.py).
Called by `endpoints.messages` with what `schema` has read; the chat goes through the table of chat like any other.
"""

from collections.abc import Mapping
from typing import Any

from middleware.anthropic.history import Json, conversation
from middleware.errors import bad_request
from middleware.fields.tools import require_parser
from middleware.policy import Policy
from middleware.prompt.traits import Traits

# By the name that both have.
SAME = (
    "model",
    "temperature",
    "top_p",
    "top_k",
    "watermarking",
    "cache_salt",
    "kv_transfer_params",
    "ec_transfer_params",
    "vllm_xargs",
    "chat_template_kwargs",
)
CHOICES = {"auto": "auto", "any": "required", "none": "none"}
# For the usage that the first event tells.
STREAM_OPTIONS = {"include_usage": True, "continuous_usage_stats": True}


def chat(request: Mapping[str, Any], traits: Traits, policy: Policy) -> Json:
    body: Json = {name: request[name] for name in SAME if request.get(name) is not None}
    body["messages"] = conversation(request, system_first=traits.system_first)
    if "max_tokens" in request:
        body["max_tokens"] = body["max_completion_tokens"] = request["max_tokens"]
    if request.get("stop_sequences") is not None:
        body["stop"] = request["stop_sequences"]
    if request.get("stream"):
        body |= {"stream": True, "stream_options": STREAM_OPTIONS}
    _output(body, request.get("output_config") or {})
    _thinking(body, request.get("thinking") or {}, traits)
    _tools(body, request, policy)
    return body


def _output(body: Json, config: Mapping[str, Any]) -> None:
    schema = (config.get("format") or {}).get("schema")
    if schema:
        body["response_format"] = {"type": "json_schema", "json_schema": {"name": "json_schema", "schema": schema}}
    if config.get("effort") is not None:
        body["reasoning_effort"] = config["effort"]


def _thinking(body: Json, thinking: Mapping[str, Any], traits: Traits) -> None:
    """Of adaptive thinking nothing is said: the model chooses."""
    if thinking.get("type") == "disabled":
        body["reasoning_effort"] = traits.disabled_effort
    elif thinking.get("type") == "enabled":
        body["thinking_token_budget"] = thinking["budget_tokens"]


def _tools(body: Json, request: Mapping[str, Any], policy: Policy) -> None:
    tools = _in_effect(request)
    choice = request.get("tool_choice")
    if choice is not None:
        body["parallel_tool_calls"] = not choice.get("disable_parallel_tool_use")
    chosen = _chosen(choice, has_tools=tools is not None)
    if tools:
        body["tools"] = [_tool(tool) for tool in tools]
        body["tool_choice"] = chosen
    elif chosen is not None:
        # Where there is nothing to choose from vLLM asks for a parser all the same, and then for no call.
        require_parser(policy, chosen)


def _chosen(choice: Mapping[str, Any] | None, *, has_tools: bool) -> Any:
    if choice is None:
        return "auto" if has_tools else None
    if choice["type"] == "tool":
        return {"type": "function", "function": {"name": choice["name"]}}
    return CHOICES[choice["type"]]


def _in_effect(request: Mapping[str, Any]) -> list[Json] | None:
    """The tools after all that the system has added and removed; a template sees one list."""
    declared: list[Json] | None = request.get("tools")
    changes = [
        block
        for message in request["messages"]
        for block in (message["content"] if isinstance(message["content"], list) else ())
        if block["type"] in ("tool_addition", "tool_removal")
    ]
    if not changes:
        return declared
    tools = {tool["name"]: tool for tool in declared or ()}
    removed: set[str] = set()
    for block in changes:
        change = block["tool"]
        if change["type"] == "tool_definition":
            name = change["definition"]["name"]
            tools[name] = change["definition"]
        else:
            name = change["name"]
            if name not in tools:
                raise bad_request(f"{block['type']} references tool {name!r}, which is not declared in tools")
            if block["type"] == "tool_addition":
                tools[name] = {**tools[name], "defer_loading": None}
        if block["type"] == "tool_removal":
            removed.add(name)
        else:
            removed.discard(name)
    return [tool for name, tool in tools.items() if name not in removed]


def _tool(tool: Mapping[str, Any]) -> Json:
    """Without nulls, which SGLang refuses and a template is not shown."""
    function = {
        "name": tool["name"],
        "description": tool.get("description"),
        "parameters": {**tool["input_schema"], "type": tool["input_schema"].get("type", "object")},
        "strict": tool.get("strict"),
        "defer_loading": tool.get("defer_loading"),
    }
    return {"type": "function", "function": {name: value for name, value in function.items() if value is not None}}
