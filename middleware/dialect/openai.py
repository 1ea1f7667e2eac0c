"""What a whole chat and a whole completion have in common: the keys of OpenAI's answers, and of their choices.
Part of the tables of `chat` and `completion`.
"""

from typing import Any

from middleware.dialect import tools, usage
from middleware.dialect.keys import NEVER, Key, Source, fingerprint, made, null, rebuild, same, told_id, told_model
from middleware.dialect.voice import Voice
from middleware.fields.told import Told


def _stop_reason(choice: Source, told: Told, voice: Voice) -> Any:
    return tools.stop_reason(choice.get("matched_stop"), told)


def _weight_versions(choice: Source, told: Told, voice: Voice) -> Any:
    return choice.get("weight_versions") if told.return_weight_versions else None


def _usage(answer: Source, told: Told, voice: Voice) -> Any:
    return usage.whole(answer["usage"], told, voice)


STOP_REASON = made("stop_reason", _stop_reason, "SGLang's matched_stop, null for the end of the sequence")
CHOICE_TAIL: tuple[Key, ...] = (
    null("routed_experts", "SGLang tells them beside the choices"),
    made("weight_versions", _weight_versions, "with return_weight_versions"),
)
TAIL: tuple[Key, ...] = (
    null("kv_transfer_params", NEVER),
    null("ec_transfer_params", NEVER),
    null("metrics", "with vLLM's --enable-per-request-metrics, which SGLang has not"),
)


def head(choice: tuple[Key, ...]) -> tuple[Key, ...]:
    def choices(answer: Source, told: Told, voice: Voice) -> Any:
        """SGLang tells the versions of the weights once for all choices."""
        versions = (answer.get("metadata") or {}).get("weight_versions")
        return [rebuild(choice, {"weight_versions": versions, **each}, told, voice) for each in answer["choices"]]

    return (
        made("id", told_id, "vLLM's"),
        same("object"),
        same("created"),
        made("model", told_model, "as the client named it"),
        made("choices", choices, "by their own table"),
        null("service_tier", NEVER),
        made("system_fingerprint", fingerprint, "--fingerprint-mode"),
        made("usage", _usage, "vLLM's keys"),
    )
