"""THE table of a whole completion: vLLM 0.33.0's keys, in its order, from SGLang 0.5.23's.
Walked for every answer of /v1/completions that is no stream; `completion_stream` has the chunks.
"""

from collections.abc import Mapping
from typing import Any

from middleware.dialect import logprobs, usage
from middleware.dialect.chat import stop_reason, weight_versions
from middleware.dialect.keys import Json, Key, fingerprint, made, null, rebuild, same, told_id, told_model
from middleware.dialect.voice import Voice
from middleware.fields.told import Told

Source = Mapping[str, Any]
_NEVER = "SGLang has none"


def _logprobs(choice: Source, told: Told, voice: Voice) -> Any:
    as_ids = told.tokens_as_ids or voice.tokens_as_ids
    return logprobs.completion(choice.get("logprobs"), token_ids=choice.get("token_ids") if as_ids else None)


def _token_ids(choice: Source, told: Told, voice: Voice) -> Any:
    return choice.get("token_ids") if told.return_token_ids else None


def _prompt_token_ids(choice: Source, told: Told, voice: Voice) -> Any:
    return choice.get("prompt_token_ids") if told.return_token_ids else None


CHOICE: tuple[Key, ...] = (
    same("index"),
    same("text"),
    made("logprobs", _logprobs, "offsets counted; the chosen token first; -9999.0 is vLLM's minus infinity"),
    same("finish_reason"),
    made("stop_reason", stop_reason, "SGLang's matched_stop, null for the end of the sequence"),
    made("token_ids", _token_ids, "with return_token_ids"),
    null("prompt_logprobs", "SGLang tells no ranks"),
    made("prompt_token_ids", _prompt_token_ids, "with return_token_ids"),
    null("routed_experts", "SGLang tells them beside the choices"),
    made("weight_versions", weight_versions, "with return_weight_versions"),
)


def _choices(answer: Source, told: Told, voice: Voice) -> Any:
    versions = (answer.get("metadata") or {}).get("weight_versions")
    return [rebuild(CHOICE, {**choice, "weight_versions": versions}, told, voice) for choice in answer["choices"]]


def _usage(answer: Source, told: Told, voice: Voice) -> Any:
    return usage.whole(answer["usage"], told, voice)


WHOLE: tuple[Key, ...] = (
    made("id", told_id, "vLLM's"),
    same("object"),
    same("created"),
    made("model", told_model, "as the client named it"),
    made("choices", _choices, "as above"),
    null("service_tier", _NEVER),
    made("system_fingerprint", fingerprint, "--fingerprint-mode"),
    made("usage", _usage, "vLLM's keys"),
    null("kv_transfer_params", _NEVER),
    null("ec_transfer_params", _NEVER),
    null("metrics", "with vLLM's --enable-per-request-metrics, which SGLang has not"),
)


def whole(answer: Source, told: Told, voice: Voice) -> Json:
    return rebuild(WHOLE, answer, told, voice)
