"""THE table of a whole chat answer: vLLM 0.33.0's keys, in its order, from SGLang 0.5.23's.
Walked for every answer of /v1/chat/completions that is no stream; `chat_stream` has the chunks.
"""

from collections.abc import Mapping
from typing import Any

from middleware.dialect import logprobs, tools, usage
from middleware.dialect.keys import (
    ABSENT,
    Json,
    Key,
    fingerprint,
    made,
    null,
    rebuild,
    renamed,
    same,
    told_id,
    told_model,
)
from middleware.dialect.voice import Voice
from middleware.fields.told import Told

Source = Mapping[str, Any]
_NEVER = "SGLang has none"


def _role(message: Source, told: Told, voice: Voice) -> Any:
    return told.role or voice.role


def _content(message: Source, told: Told, voice: Voice) -> Any:
    """Where all went into the reasoning or into calls of the model's own choice it is null, and not empty."""
    content = message["content"]
    if content == "" and (message.get("reasoning_content") or _chosen_calls(message, told)):
        return None
    return content


def _chosen_calls(message: Source, told: Told) -> bool:
    return bool(message.get("tool_calls")) and told.tool_choice not in tools.FORCED


def _tool_calls(message: Source, told: Told, voice: Voice) -> Any:
    calls = message.get("tool_calls")
    return tools.whole(calls, told) if calls else ABSENT


def _reasoning(message: Source, told: Told, voice: Voice) -> Any:
    return message.get("reasoning_content") if told.include_reasoning else None


def _reasoning_content(message: Source, told: Told, voice: Voice) -> Any:
    reasoning = _reasoning(message, told, voice)
    return ABSENT if reasoning is None else reasoning


MESSAGE: tuple[Key, ...] = (
    made("role", _role, "--response-role"),
    made("content", _content, "null where there is nothing but reasoning or calls"),
    null("refusal", _NEVER),
    null("annotations", _NEVER),
    null("audio", _NEVER),
    null("function_call", _NEVER),
    made("tool_calls", _tool_calls, "absent where there are none; ids in vLLM's form, without SGLang's index"),
    made("reasoning", _reasoning, "SGLang's reasoning_content"),
    made("reasoning_content", _reasoning_content, "the older name, for the clients that read it"),
)


def _message(choice: Source, told: Told, voice: Voice) -> Any:
    return rebuild(MESSAGE, choice["message"], told, voice)


def _logprobs(choice: Source, told: Told, voice: Voice) -> Any:
    meta_info = choice.get("meta_info") if told.tokens_as_ids or voice.tokens_as_ids else None
    return logprobs.chat(choice.get("logprobs"), meta_info)


def _finish_reason(choice: Source, told: Told, voice: Voice) -> Any:
    return tools.finish_reason(choice["finish_reason"], told)


def stop_reason(choice: Source, told: Told, voice: Voice) -> Any:
    return tools.stop_reason(choice.get("matched_stop"), told)


def _token_ids(choice: Source, told: Told, voice: Voice) -> Any:
    return choice.get("response_token_ids") if told.return_token_ids else None


def weight_versions(choice: Source, told: Told, voice: Voice) -> Any:
    return choice.get("weight_versions") if told.return_weight_versions else None


CHOICE: tuple[Key, ...] = (
    same("index"),
    made("message", _message, "as below"),
    made("logprobs", _logprobs, "vLLM's order; -9999.0 is its minus infinity"),
    made("finish_reason", _finish_reason, "stop where a function was named"),
    made("stop_reason", stop_reason, "SGLang's matched_stop, null for the end of the sequence"),
    made("token_ids", _token_ids, "with return_token_ids"),
    null("routed_experts", "SGLang tells them beside the choices"),
    made("weight_versions", weight_versions, "with return_weight_versions"),
)


def _choices(answer: Source, told: Told, voice: Voice) -> Any:
    """SGLang tells the versions of the weights once for all choices."""
    versions = (answer.get("metadata") or {}).get("weight_versions")
    return [rebuild(CHOICE, {**choice, "weight_versions": versions}, told, voice) for choice in answer["choices"]]


def _usage(answer: Source, told: Told, voice: Voice) -> Any:
    return usage.whole(answer["usage"], told, voice)


def _prompt_token_ids(answer: Source, told: Told, voice: Voice) -> Any:
    if not told.return_token_ids:
        return None
    return told.prompt_token_ids or answer["choices"][0].get("prompt_token_ids")


WHOLE: tuple[Key, ...] = (
    made("id", told_id, "vLLM's"),
    same("object"),
    same("created"),
    made("model", told_model, "as the client named it"),
    made("choices", _choices, "as above"),
    null("service_tier", _NEVER),
    made("system_fingerprint", fingerprint, "--fingerprint-mode"),
    made("usage", _usage, "vLLM's keys"),
    renamed("prompt_logprobs", "prompt_logprobs", "SGLang's chat has none"),
    made("prompt_token_ids", _prompt_token_ids, "with return_token_ids"),
    null("prompt_text", _NEVER),
    null("kv_transfer_params", _NEVER),
    null("ec_transfer_params", _NEVER),
    null("metrics", "with vLLM's --enable-per-request-metrics, which SGLang has not"),
)


def whole(answer: Source, told: Told, voice: Voice) -> Json:
    return rebuild(WHOLE, answer, told, voice)
