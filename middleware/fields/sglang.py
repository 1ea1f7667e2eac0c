"""SGLang's own fields of requests, which no client of vLLM sends: those that do no harm pass, as the operator's clients
may rely on them. Part of the tables; what the names mean is SGLang 0.5.23's.
"""

from typing import Any

from middleware.errors import bad_value
from middleware.fields import trust
from middleware.fields.draft import Draft
from middleware.fields.kinds import ANY, DICT, INT, STR, bounded, list_of
from middleware.fields.record import Field
from middleware.fields.tokens import check_ids
from middleware.fields.typed import ignored, takes, unless_nothing

_OWN = "SGLang's own: its to judge"
_PLACED = "where a request is computed is the server's to choose, not the client's"
_CODE = "it would run what the request brings"
ENDLESS = "an expression that never ends would hold up every request"


def _ids(draft: Draft, name: str, value: Any) -> None:
    if not isinstance(value[0] if value else None, int):
        raise bad_value(f"{name} must be a list of token ids that is not empty.", name)
    check_ids(draft.fields[name], draft.policy.vocab_size, name)


def _own(*names: str) -> tuple[Field, ...]:
    return tuple(takes(name, ANY, _OWN) for name in names)


# On chat and completions.
BOTH: tuple[Field, ...] = (
    takes("regex", STR, "a constraint of SGLang's, and what others become"),
    takes("ebnf", STR, "a constraint of SGLang's, and what others become"),
    unless_nothing("stop_regex", ANY, ENDLESS),
    *_own("no_stop_trim", "extra_key", "watermark"),
    *_own("return_hidden_states", "return_routed_experts", "routed_experts_start_len"),
    *_own("return_cached_tokens_details", "return_spec_tokens_details"),
    takes("images_config", DICT, "for the processor: with --trust-request-mm-kwargs", then=trust.processor_kwargs),
    takes("lora_path", ANY, "held against the adapters there are by `fields.names`"),
    ignored("rid", ANY, "the id is vLLM's: request_id, or the X-Request-Id header"),
    unless_nothing("session_params", DICT, "no sessions are kept"),
    unless_nothing("custom_logit_processor", ANY, _CODE),
    unless_nothing("custom_params", DICT, "they are for custom_logit_processor, which is not taken"),
    unless_nothing("bootstrap_host", ANY, _PLACED),
    unless_nothing("bootstrap_port", ANY, _PLACED, nothing=("",)),
    unless_nothing("bootstrap_room", ANY, _PLACED, nothing=("",)),
    takes("routed_dp_rank", bounded(INT, ge=0), "SGLang refuses a rank that it has not"),
    takes("data_parallel_rank", bounded(INT, ge=0), "SGLang's older name of routed_dp_rank"),
    unless_nothing("disagg_prefill_dp_rank", INT, _PLACED, nothing=("",)),
)

CHAT: tuple[Field, ...] = (
    *BOTH,
    takes("input_ids", list_of(INT), "instead of the template; no others than the vocabulary's", then=_ids),
    *_own("return_prompt_token_ids", "return_meta_info", "return_input_ids_in_sglext", "return_output_ids_in_sglext"),
    *_own("return_sampling_mask", "sampling_logprobs_mode"),
    *_own("return_flat_raw_output_top_logprobs", "return_flat_raw_top_logprobs_b64"),
    *_own("thinking", "reasoning", "task", "separate_reasoning", "stream_reasoning"),
    *_own("use_audio_in_video"),
    takes("max_dynamic_patch", INT, "for the processor: with --trust-request-mm-kwargs", then=trust.processor_kwargs),
    takes("min_dynamic_patch", INT, "for the processor: with --trust-request-mm-kwargs", then=trust.processor_kwargs),
    takes("video_config", DICT, "for the processor: with --trust-request-mm-kwargs", then=trust.processor_kwargs),
)

COMPLETIONS: tuple[Field, ...] = (
    *BOTH,
    takes("json_schema", STR, "a constraint of SGLang's"),
    ignored("custom_labels", ANY, "labels of metrics are the operator's: a name of another ends the answer"),
)

RESPONSES: tuple[Field, ...] = (
    takes("extra_key", STR, _OWN),
    *(field for field in BOTH if field.name.startswith(("bootstrap", "disagg", "routed_dp", "data_parallel"))),
)
