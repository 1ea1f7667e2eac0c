"""SGLang's own ways to generate: every field of theirs decided, and what ends SGLang 0.5.23 or harms others is refused.
Tables for `fields.edit`; a field that is not here goes no further.
"""

import secrets
from typing import Any

from middleware.errors import bad_request
from middleware.fields import limits, logprobs, media, names, tokens, trust
from middleware.fields.draft import Draft
from middleware.fields.each import IDS, TEXT, each, ids_for_each, one_for_each, texts_given
from middleware.fields.kinds import (
    ANY,
    BOOL,
    DICT,
    INT,
    INT64,
    STR,
    Errors,
    FieldType,
    bounded,
    dict_of,
    list_of,
    one_of,
)
from middleware.fields.native_sampling import LARGEST, NATURAL, SAMPLING_PARAMS, WHOLE, sampling_params
from middleware.fields.record import Field, Table, check, same
from middleware.fields.sglang import BOTH
from middleware.fields.told import Kind
from middleware.fields.typed import becomes, ignored, takes, unless_nothing
from middleware.fields.unknown import unknown_to

EMBEDS = "input_embeds"
RANDOM_BYTES = 8
INSIDE = "it is set inside the server alone"
LABELS = "which labels a metric has is the operator's to say: a name of another ends the answer, and SGLang with it"
OWN_EMBEDDINGS = "embeddings of the request's own are not taken: one of another size ends SGLang"


def _hidden(value: Any, loc: str, errors: Errors) -> Any:
    return value if isinstance(value, bool) else one_of("last").read(value, loc, errors)


def _own_id(draft: Draft, name: str, value: Any) -> None:
    """SGLang aborts every request whose id begins with that of a client who left: none is another's beginning."""
    ending = draft.told.ending = draft.told.ending or f"-{secrets.token_hex(RANDOM_BYTES)}"
    draft.replace(name, [f"{one}{ending}" for one in value] if isinstance(value, list) else f"{value}{ending}")


def ids_given(draft: Draft, name: str) -> None:
    if not draft.given(name):
        draft.drop(name)
        return
    limits.prompts(draft, name)
    tokens.prompt_ids(draft, name)
    if not any(digit in bytes(memoryview(draft.fields[name])[:64]) for digit in b"0123456789"):
        raise bad_request(f"{name} must not be empty.", name)


def _ranked(draft: Draft, name: str, value: Any) -> None:
    for wanted in value if isinstance(value, list) else [value]:
        if wanted:
            logprobs.few(draft, name, wanted)


def _rows(value: Any, loc: str, errors: Errors) -> Any:
    """The ids for all prompts, or a list for each."""
    nested = isinstance(value, list) and any(isinstance(item, list) for item in value)
    return list_of(list_of(WHOLE) if nested else WHOLE).read(value, loc, errors)


def _of_tokens(draft: Draft, name: str, value: Any) -> None:
    rows = value if any(isinstance(item, list) for item in value) else [value]
    for row in rows:
        tokens.known_ids(draft, name, row)
        logprobs.few(draft, name, len(row))


_PROMPT: tuple[Field, ...] = (
    becomes("rid", each(STR), _own_id, "the same with an end of our own, which the answer does not show"),
    check(TEXT, texts_given, "one, or several"),
    check(IDS, ids_given, "no others than the vocabulary's"),
    unless_nothing(EMBEDS, ANY, OWN_EMBEDDINGS),
    *(same(name, "what they name is looked at: `fields.media`") for name in media.KINDS),
    takes("modalities", list_of(STR)),
    takes("lora_path", each(STR, null=True), "held against the adapters there are by `fields.names`"),
    takes("priority", bounded(WHOLE, ge=-INT64, le=INT64 - 1)),
    takes("routing_key", STR),
    takes("return_prompt_token_ids", BOOL),
    ignored("background", BOOL, "work goes on when its client has left only where it is stored"),
    ignored("log_metrics", BOOL, "what is counted is the operator's to say"),
    ignored("external_trace_header", DICT, "traces go by the request's headers"),
    ignored("received_time", ANY, "times are told by the server's clock"),
    unless_nothing("positional_embed_overrides", ANY, OWN_EMBEDDINGS),
    unless_nothing("lora_id", ANY, INSIDE),
    unless_nothing("http_worker_ipc", ANY, INSIDE),
    unless_nothing("multi_item_delimiter_indices", ANY, INSIDE),
    unless_nothing("token_indices_to_pool", ANY, INSIDE),
)
GENERATED: tuple[Field, ...] = (
    *_PROMPT,
    takes("return_logprob", each(BOOL)),
    takes("logprob_start_len", each(bounded(WHOLE, ge=-1, le=LARGEST))),
    takes("top_logprobs_num", each(NATURAL), "no more than --max-logprobs", then=_ranked),
    takes(
        "token_ids_logprob",
        FieldType("list[int]", _rows),
        "within the vocabulary, no more than --max-logprobs",
        then=_of_tokens,
    ),
    takes(
        "return_hidden_states",
        each(FieldType("hidden states", _hidden)),
        "SGLang refuses what it was not started with",
    ),
    takes("return_sampling_mask", each(BOOL)),
    takes("sampling_logprobs_mode", each(one_of("selected", "support"), null=True)),
    *(takes(name, BOOL) for name in ("stream", "return_text_in_logprobs", "return_flat_raw_top_logprobs")),
    *(takes(name, BOOL) for name in ("return_flat_raw_output_top_logprobs", "return_flat_raw_top_logprobs_b64")),
    *(takes(name, BOOL) for name in ("return_routed_experts", "return_indexer_topk", "return_entropy", "no_logs")),
    *(takes(name, BOOL) for name in ("require_reasoning", "use_audio_in_video")),
    takes("routed_experts_start_len", NATURAL),
    takes("max_thinking_tokens", NATURAL),
    *(takes(name, STR) for name in ("session_id", "conversation_id")),
    *(takes(name, each(STR)) for name in ("extra_key", "cache_salt")),
    ignored("custom_labels", dict_of(STR), LABELS),
    *(
        takes(name, DICT, "with --trust-request-mm-kwargs", then=trust.processor_kwargs)
        for name in ("images_config", "video_config", "mm_processor_kwargs")
    ),
    *(
        takes(name, INT, "with --trust-request-mm-kwargs", then=trust.processor_kwargs)
        for name in ("max_dynamic_patch", "min_dynamic_patch", "image_max_dynamic_patch", "video_max_dynamic_patch")
    ),
    *(
        field
        for field in BOTH
        if field.name in ("session_params", "custom_logit_processor", "data_parallel_rank")
        or field.name.startswith(("bootstrap", "disagg", "routed_dp"))
    ),
    unless_nothing("bootstrap_pair_key", ANY, INSIDE),
    unless_nothing("decode_tp_size", ANY, INSIDE),
    unless_nothing("mm_hashes", ANY, "what a medium is kept as is the server's to say: a cache has more than one user"),
    unless_nothing("mm_content_hashes", ANY, "what a medium is kept as is the server's to say"),
    unless_nothing("kv_hints", ANY, INSIDE),
    unless_nothing("watermark", ANY, "no watermark is configured"),
    *(
        unless_nothing(name, ANY, INSIDE)
        for name in ("need_wait_for_mm_inputs", "num_items_assigned", "encoder_urls", "return_bytes")
    ),
)
_ENCODED: tuple[Field, ...] = (
    *_PROMPT,
    takes("dimensions", bounded(WHOLE, ge=1, le=LARGEST)),
    takes("return_pooled_hidden_states", BOOL),
    takes("is_cross_encoder_request", BOOL),
    unless_nothing("embed_override_token_id", ANY, OWN_EMBEDDINGS, nothing=("",)),
    unless_nothing("embed_overrides", ANY, OWN_EMBEDDINGS),
    unless_nothing("decision_layout", ANY, INSIDE),
)


NATIVE = Table(
    "generate",
    answer=Kind.NATIVE,
    prompts=True,
    fields=GENERATED,
    repairs={
        "unknown_fields": unknown_to(GENERATED, SAMPLING_PARAMS),
        "one_for_each": one_for_each,
        "adapters_known": names.adapters_given,
        "in_data": media.in_data,
        "sampling_params": sampling_params,
    },
)
ENCODE = Table(
    "encode",
    answer=Kind.NATIVE,
    prompts=True,
    fields=_ENCODED,
    repairs={
        "unknown_fields": unknown_to(_ENCODED),
        "one_for_each": one_for_each,
        "ids_for_each": ids_for_each,
        "adapters_known": names.adapters_given,
        "in_data": media.in_data,
    },
)
