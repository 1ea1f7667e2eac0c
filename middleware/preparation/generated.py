"""A completion as SGLang's /generate takes it, which does what its /v1/completions cannot: a length for each prompt,
the ids of all tokens, weight versions in a stream. Made by `completion`; `dialect.generated` tells its answer.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from middleware.dialect.prompt_logprobs import LEAST
from middleware.fields.draft import Draft
from middleware.fields.native_sampling import SAMPLING_PARAMS, sampling_params

TARGET = b"/generate"
LENGTH = "max_new_tokens"
# THE table: what SGLang's own /v1/completions (0.5.23) makes of a field, one by one.
SAMPLING: Mapping[str, str] = {
    "max_tokens": LENGTH,
    "min_tokens": "min_new_tokens",
    "seed": "sampling_seed",
    **{name: name for name in ("temperature", "top_p", "top_k", "min_p", "n", "stop", "stop_token_ids", "logit_bias")},
    **{name: name for name in ("presence_penalty", "frequency_penalty", "repetition_penalty", "ignore_eos")},
    **{name: name for name in ("skip_special_tokens", "no_stop_trim", "regex", "json_schema", "ebnf", "watermark")},
}
SAME = (
    *("stream", "lora_path", "priority", "cache_salt", "extra_key", "custom_labels", "routed_dp_rank"),
    *("data_parallel_rank", "return_hidden_states", "return_routed_experts", "routed_experts_start_len"),
    *("images_config", "mm_processor_kwargs"),
)


def generate(draft: Draft, prompts: Sequence[Sequence[int]], lengths: Sequence[int] | None, implied: int) -> None:
    """The draft becomes one of /generate; `lengths` are those of the prompts where they are not all alike."""
    told, fields = draft.told, draft.fields
    params: dict[str, Any] = {LENGTH: implied}
    params |= {ours: fields[name] for name, ours in SAMPLING.items() if draft.given(name)}
    params |= constraint(draft)
    native: dict[str, Any] = {name: fields[name] for name in SAME if draft.given(name)}
    native["input_ids"] = prompts if len(prompts) > 1 else prompts[0]
    native[SAMPLING_PARAMS] = [{**params, LENGTH: length} for length in lengths] if lengths else params
    if told.return_token_ids or told.echo:
        native["return_prompt_token_ids"] = True
    of_prompt = None if told.prompt_logprobs is None else max(told.prompt_logprobs, LEAST)
    ranked = [number for number in (told.logprobs, of_prompt) if number is not None]
    if ranked:
        native |= {"return_logprob": True, "top_logprobs_num": max(ranked), "return_text_in_logprobs": True}
        native["logprob_start_len"] = 0 if told.echo or of_prompt is not None else -1
    draft.fields = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in native.items()}
    draft.edits += 1
    # Of the kinds that the scheduler must have: 5.0 is no int to it.
    sampling_params(draft)
    told.target = TARGET


def constraint(draft: Draft) -> dict[str, str]:
    wanted = draft.value("response_format") or {}
    match wanted.get("type"):
        case "json_schema":
            return {"json_schema": _text(wanted["json_schema"]["schema"])}
        case "json_object":
            return {"json_schema": '{"type": "object"}'}
        case "structural_tag":
            return {"structural_tag": _text(wanted)}
    return {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
