"""How many tokens: vLLM's order and keys, in whole answers, at the end of a stream and in each of its chunks.
Part of the tables of chat and completions.
"""

from collections.abc import Mapping
from typing import Any

from middleware.dialect.keys import ABSENT, Json, Key, made, rebuild, same
from middleware.dialect.voice import Voice
from middleware.fields.told import Kind, Told

_COUNTS = (same("prompt_tokens"), same("total_tokens"), same("completion_tokens"))
_MEDIA = ("image_tokens", "audio_tokens", "video_tokens")


def _prompt_details(usage: Mapping[str, Any], told: Told, voice: Voice) -> Any:
    """vLLM's flag for it is --enable-prompt-tokens-details; SGLang's, --enable-cache-report, may be on without."""
    details = usage.get("prompt_tokens_details")
    if not voice.prompt_tokens_details or not isinstance(details, dict):
        return None
    media = sum(details.get(name) or 0 for name in _MEDIA)
    return {
        "cached_tokens": details.get("cached_tokens") or 0,
        # Never counted by SGLang; in vLLM it was 0 in every chat and null in every completion.
        "created_cache_tokens": None if told.kind in (Kind.COMPLETION, Kind.TOKENS) else 0,
        "multimodal_tokens": media or None,
    }


def _completion_details(usage: Mapping[str, Any], told: Told, voice: Voice) -> Any:
    """With a reasoning parser always, though SGLang leaves them out where a request wants no thoughts."""
    details = usage.get("completion_tokens_details")
    return {"reasoning_tokens": 0} if details is None and voice.reasoning and told.kind is Kind.CHAT else details


def _without_nulls(maker: Any) -> Any:
    def make(usage: Mapping[str, Any], told: Told, voice: Voice) -> Any:
        details = maker(usage, told, voice)
        if details is None:
            return ABSENT
        return {name: value for name, value in details.items() if value is not None}

    return make


WHOLE: tuple[Key, ...] = (
    *_COUNTS,
    made("prompt_tokens_details", _prompt_details, "with --enable-prompt-tokens-details"),
    made("completion_tokens_details", _completion_details, "with a reasoning parser"),
)
LAST: tuple[Key, ...] = (
    *_COUNTS,
    made("prompt_tokens_details", _without_nulls(_prompt_details), "with --enable-prompt-tokens-details"),
    made("completion_tokens_details", _without_nulls(_completion_details), "with a reasoning parser"),
)
EACH: tuple[Key, ...] = (
    *_COUNTS,
    made("completion_tokens_details", _completion_details, "with a reasoning parser"),
)


def whole(usage: Mapping[str, Any], told: Told, voice: Voice) -> Json:
    return rebuild(WHOLE, usage, told, voice)


def last(usage: Mapping[str, Any], told: Told, voice: Voice) -> Json:
    """Of the chunk at a stream's end."""
    return rebuild(LAST, usage, told, voice)


def each(usage: Mapping[str, Any], told: Told, voice: Voice) -> Json:
    """Of a chunk on the way, with `continuous_usage_stats`."""
    return rebuild(EACH, usage, told, voice)


def begun(usage: Mapping[str, Any]) -> Json:
    """Of the chunk with the role, which has no tokens yet; `usage` is that of the first chunk that has."""
    prompt_tokens = usage["prompt_tokens"]
    return {
        "prompt_tokens": prompt_tokens,
        "total_tokens": prompt_tokens,
        "completion_tokens": 0,
        "completion_tokens_details": {"reasoning_tokens": 0} if usage.get("completion_tokens_details") else None,
    }
