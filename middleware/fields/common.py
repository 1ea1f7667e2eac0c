"""The fields that chat, completions and responses have in common, decided once.
Part of their tables, in groups that say what becomes of a field.
"""

from typing import Any

from middleware.errors import bad_value
from middleware.fields import limits, tokens, trust
from middleware.fields.draft import Draft
from middleware.fields.kinds import (
    ANY,
    BOOL,
    DICT,
    FLOAT,
    INT,
    INT64,
    STR,
    Errors,
    FieldType,
    bounded,
    dict_of,
    list_of,
    never_null,
    one_of,
    wrong,
)
from middleware.fields.record import Field
from middleware.fields.salt import cache_salt
from middleware.fields.typed import becomes, first, for_prompt, ignored, ours, takes, unless_nothing

_FLAG = never_null(BOOL)
SIDES = one_of("left", "right")
# What --truncate-prompt-tokens takes; -1 is the length of the context.
TRUNCATION = bounded(INT, ge=-1, le=INT64 - 1)
_RENDERED = "only vLLM's routes that render have it in their answers"
_BEAMS = "only beam search reads it, and there is none"
_PLUGIN = "only a plugin of vLLM's reads it, and none runs here"


def _keep_stop(draft: Draft, name: str, value: Any) -> None:
    draft.drop(name)
    if value:
        draft.put("no_stop_trim", True)


def _repetition(value: Any, loc: str, errors: Errors) -> Any:
    if not isinstance(value, dict):
        wrong(errors, "dataclass_type", loc, "Input should be a dictionary or an instance of RepetitionDetectionParams",
              value, class_name="RepetitionDetectionParams")  # fmt: skip
        return value
    for name in ("max_pattern_size", "min_pattern_size", "min_count"):
        if name in value:
            INT.read(value[name], f"{loc}.{name}", errors)
    return value


def _no_repetition(draft: Draft, name: str, value: Any) -> None:
    if value.get("max_pattern_size"):
        raise bad_value(f"{name} is not supported: SGLang does not look for repetitions.", name)
    draft.drop(name)


# Left in the draft for the prompt's rendering, which knows what to do about them; SGLang knows none of them.
PROMPT_FIELDS = ("add_generation_prompt", "add_special_tokens", "truncate_prompt_tokens", "truncation_side")
REPETITION = becomes(
    "repetition_detection", FieldType("repetition", _repetition), _no_repetition, "refused, unless it is off"
)
SALT = first("cache_salt", STR, cache_salt, "the same; vLLM asks more of it")
# What vLLM asks of these is in `fields.bounds`.
SAMPLING: tuple[Field, ...] = (
    takes("frequency_penalty", FLOAT),
    takes("presence_penalty", FLOAT),
    takes("repetition_penalty", FLOAT, "the same up to 2"),
    takes("temperature", FLOAT),
    takes("top_p", FLOAT),
    takes("top_k", INT, "no limit is 0 in vLLM and -1 in SGLang"),
    takes("min_p", FLOAT),
)
# On all three; SGLang has the first group on chat and completions alone.
LENGTHS: tuple[Field, ...] = (
    takes("min_tokens", never_null(INT)),
    takes("stop_token_ids", list_of(INT), "within the vocabulary", then=tokens.stop_ids),
    takes("logit_bias", dict_of(FLOAT), "within the vocabulary, and no more than 100", then=tokens.biases),
    takes("ignore_eos", _FLAG),
    takes("skip_special_tokens", BOOL),
    takes("seed", bounded(INT, ge=-INT64, le=INT64 - 1), "heeded only by deterministic inference: `fields.seed`"),
    becomes("include_stop_str_in_output", _FLAG, _keep_stop, "no_stop_trim"),
    ours("request_id", never_null(STR), "rid, in vLLM's form: `fields.told`"),
    ours("return_tokens_as_token_ids", BOOL, "the answer's editing: `fields.told`"),
    takes("return_token_ids", BOOL, "the same, except in streams: the answer's editing"),
    ours("return_weight_versions", _FLAG, "in every answer of SGLang's but a chat's stream: 400 there"),
    unless_nothing("use_beam_search", _FLAG, "SGLang has no beam search here"),
    ignored("length_penalty", never_null(FLOAT), _BEAMS),
    unless_nothing("early_stopping", ANY, "SGLang has no beam search here"),
    ignored("best_of", ANY, "vLLM 0.33 has none and ignores it"),
    unless_nothing("logits_processors", ANY, "SGLang runs none that a request names"),
    unless_nothing("bad_words", never_null(list_of(STR)), "SGLang cannot keep words out of its output"),
    takes("allowed_token_ids", list_of(INT), "refused: SGLang cannot hold to them", then=tokens.allowed_ids),
    REPETITION,
    ignored("routed_experts_prompt_start", never_null(bounded(INT, ge=0)), "of routed experts, which are not returned"),
    ignored("return_token_offsets", BOOL, _RENDERED),
    ignored("stream_interval", bounded(INT, ge=1), "how often a chunk comes is no part of what is said"),
    for_prompt("truncate_prompt_tokens", TRUNCATION, None, "the prompt's rendering"),
    for_prompt("truncation_side", SIDES, None, "the prompt's rendering"),
)
EVERYWHERE: tuple[Field, ...] = (
    takes("model", STR, "404 for what is not served; an adapter becomes lora_path: `fields.names`"),
    takes("user", STR, "ignored by both"),
    takes("stream", BOOL),
    takes("stop", limits.STOP, "no more than VLLM_MAX_STOP_STRINGS", then=limits.stop_strings),
    takes("priority", never_null(bounded(INT, ge=-INT64, le=INT64 - 1)), "the same: the start turns SGLang's order"),
    ignored("session_id", STR, "a hint for routers; SGLang would open a session of its own"),
    ignored("watermarking", BOOL, "of the watermark that a server is configured with, and none is"),
    ignored("mm_payload", never_null(one_of("tensors", "none")), _RENDERED),
    ignored("return_mm_kwargs", BOOL, _RENDERED),
    ignored("kv_transfer_params", DICT, "of vLLM's own transfer of caches, which no server here is part of"),
    ignored("ec_transfer_params", DICT, "of vLLM's own transfer of caches, which no server here is part of"),
    ignored("vllm_xargs", DICT, _PLUGIN),
)
# Of those SGLang's /v1/responses has none.
MEDIA: tuple[Field, ...] = (
    takes("mm_processor_kwargs", DICT, "with --trust-request-mm-kwargs; most ignore it", then=trust.processor_kwargs),
    takes("media_io_kwargs", dict_of(DICT), "refused: SGLang has no such thing", then=trust.media_kwargs),
)
