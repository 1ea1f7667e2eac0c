"""THE table of a response made from a chat: vLLM 0.33.0's keys, in its order, and where each comes from.
Walked for the answer to a request that is no stream, and for the events that hold a response.
"""

from typing import Any

from middleware.dialect.keys import ABSENT, Json, Key, Source, made, null, rebuild, same
from middleware.dialect.voice import Voice
from middleware.fields.told import Told
from middleware.responses.asking import Asked
from middleware.responses.output import INCOMPLETE

_HARMONY = "only of the harmony format, and of what is asked for by fields that are refused"
_TRANSFER = "no server here is part of one"


def _or(name: str, default: Any) -> Any:
    def make(source: Source, told: Told, voice: Voice) -> Any:
        return source.get(name, default)

    return make


def _number(name: str, default: float) -> Any:
    def make(source: Source, told: Told, voice: Voice) -> Any:
        return float(source.get(name, default))

    return make


def _filled(name: str, *names: str) -> Any:
    """With nulls for what the client left out."""

    def make(source: Source, told: Told, voice: Voice) -> Any:
        given = source.get(name)
        return given if given is None else {**dict.fromkeys(names), **given}

    return make


def _id(source: Source, told: Told, voice: Voice) -> Any:
    return told.id


def _incomplete(source: Source, told: Told, voice: Voice) -> Any:
    return {"reason": "max_output_tokens"} if source["status"] == INCOMPLETE else None


def _text(source: Source, told: Told, voice: Voice) -> Any:
    text = source.get("text")
    if text is None:
        return None
    form = text.get("format")
    if isinstance(form, dict) and form.get("type") == "json_schema":
        form = {"name": None, "schema": None, "type": None, "description": None, "strict": None, **form}
    return {"format": form, "verbosity": text.get("verbosity")}


def _retention(source: Source, told: Told, voice: Voice) -> Any:
    given = source.get("prompt_cache_retention")
    return "in_memory" if given == "in-memory" else given


def _cache_options(source: Source, told: Told, voice: Voice) -> Any:
    given = source.get("prompt_cache_options")
    if given is None:
        return None
    defaults = {"mode": "implicit", "ttl": "30m", "comparison_response_id": None}
    return {name: given.get(name, default) for name, default in defaults.items()}


def _error(source: Source, told: Told, voice: Voice) -> Any:
    return source.get("error", ABSENT)


RESPONSE: tuple[Key, ...] = (
    made("id", _id, "request_id, or a new one"),
    same("created_at"),
    made("incomplete_details", _incomplete, "where the length cut it off"),
    same("instructions"),
    same("metadata"),
    same("model"),
    made("object", _or("object", "response"), "always"),
    made("error", _error, "only where the engine failed in the middle of a stream, which vLLM's breaks off"),
    same("output"),
    made("parallel_tool_calls", _or("parallel_tool_calls", True), "true where the client gave none"),
    made("temperature", _number("temperature", 1.0), "that of the sampling"),
    same("tool_choice"),
    same("tools"),
    made("top_p", _number("top_p", 1.0), "that of the sampling"),
    made("background", _or("background", False), "only of what is stored"),
    same("max_output_tokens"),
    same("max_tool_calls"),
    null("previous_response_id", "nothing is stored"),
    null("prompt", "refused, by vLLM too"),
    made("prompt_cache_options", _cache_options, "as it was given, with its defaults"),
    same("prompt_cache_key"),
    made("prompt_cache_retention", _retention, "by its newer name"),
    made("reasoning", _filled("reasoning", "effort", "generate_summary", "summary"), "with its nulls"),
    same("safety_identifier"),
    made("service_tier", _or("service_tier", "auto"), "auto where the client gave none"),
    same("status"),
    made("text", _text, "with its nulls"),
    same("top_logprobs"),
    made("truncation", _or("truncation", "disabled"), "disabled where the client gave none"),
    same("usage"),
    same("user"),
    made("presence_penalty", _number("presence_penalty", 0.0), "that of the sampling"),
    made("frequency_penalty", _number("frequency_penalty", 0.0), "that of the sampling"),
    null("kv_transfer_params", _TRANSFER),
    null("ec_transfer_params", _TRANSFER),
    null("input_messages", _HARMONY),
    null("output_messages", _HARMONY),
)
_VOICE = Voice()


def response(asked: Asked, **said: Any) -> Json:
    """What is `said` of this answer, beside what it repeats of the request."""
    return rebuild(RESPONSE, {**asked.repeated, **said}, asked.told, _VOICE)


def usage(counted: Source) -> Json:
    """A chat's; of one turn, because nothing is run on the server between two."""
    details = counted.get("prompt_tokens_details") or {}
    thoughts = counted.get("completion_tokens_details") or {}
    return {
        "input_tokens": counted["prompt_tokens"],
        "input_tokens_details": {
            "cached_tokens": details.get("cached_tokens") or 0,
            "cache_write_tokens": 0,
            "input_tokens_per_turn": [],
            "cached_tokens_per_turn": [],
        },
        "output_tokens": counted["completion_tokens"],
        "output_tokens_details": {
            "reasoning_tokens": thoughts.get("reasoning_tokens") or 0,
            "tool_output_tokens": 0,
            "output_tokens_per_turn": [],
            "tool_output_tokens_per_turn": [],
        },
        "total_tokens": counted["total_tokens"],
    }
