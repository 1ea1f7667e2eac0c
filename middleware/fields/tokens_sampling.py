"""`sampling_params` of /inference/v1/generate: each parameter of vLLM 0.33.0's SamplingParams, held against its bounds.
A repair of `fields.tokens_in`; what they are called in SGLang `preparation.tokens_in` knows.

As in vLLM, names that it has not are nothing: clients send some, as renderers 0.1.12 does return_token_ids.
"""

from typing import Any

import msgspec

from middleware.errors import bad_request, bad_value
from middleware.fields import limits, logprobs, structured, thinking, tokens
from middleware.fields.bound import Asking, Server
from middleware.fields.bounds import Bounds
from middleware.fields.common import REPETITION
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
    bounded,
    dict_of,
    list_of,
    never_null,
    schema_error,
)
from middleware.fields.record import Field, check
from middleware.fields.seed import seeded
from middleware.fields.typed import becomes, ignored, takes, unless_nothing

SAMPLING = "sampling_params"
LENGTH = "max_tokens"
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_FLAG = never_null(BOOL)
_NUMBER = never_null(FLOAT)
_WHOLE = never_null(INT)
_INSIDE = "how the server passes it on is its own business"
_SCORES = "SGLang has them on its own /generate, as token_ids_logprob"
_TRACE = "SGLang cannot replay a trace"


def _stop_strings(draft: Draft, name: str, value: Any) -> None:
    limits.stop_strings(draft, name, value)
    if value and draft.value("detokenize") is False:
        raise bad_request("stop strings are only supported when detokenize is True. Set detokenize=True to use stop.")


def _number(draft: Draft, name: str) -> None:
    value = draft.value(name)
    if isinstance(value, int) and value < logprobs.ALL:
        raise bad_value(f"{name} must be non-negative or -1, got {value}.", name, value)


def _chosen(draft: Draft, name: str, value: Any) -> None:
    _number(draft, name)
    logprobs.few(draft, name, value)


def _of_prompt(draft: Draft, name: str, value: Any) -> None:
    _number(draft, name)
    logprobs.few_of_prompt(draft, name, value)


def _keep_stop(draft: Draft, name: str, value: Any) -> None:
    draft.drop(name)
    draft.replace("no_stop_trim", value)


FIELDS: tuple[Field, ...] = (
    takes("n", _WHOLE, "no more than VLLM_MAX_N_SEQUENCES"),
    *(takes(name, _NUMBER) for name in ("presence_penalty", "frequency_penalty", "temperature", "top_p", "min_p")),
    takes("repetition_penalty", _NUMBER, "the same up to 2"),
    ignored("watermarking", BOOL, "of the watermark that a server is configured with, and none is"),
    takes("top_k", _WHOLE, "no limit is 0 in vLLM and -1 in SGLang"),
    takes("seed", bounded(INT, ge=-INT64, le=INT64 - 1), "heeded only by deterministic inference: `fields.seed`"),
    takes("stop", limits.STOP, "no more than VLLM_MAX_STOP_STRINGS", then=_stop_strings),
    takes("stop_token_ids", list_of(INT), "within the vocabulary", then=tokens.stop_ids),
    takes("ignore_eos", _FLAG),
    takes(LENGTH, INT, "max_new_tokens; without it as long as there is room"),
    takes("min_tokens", _WHOLE, "min_new_tokens"),
    takes("logprobs", INT, "top_logprobs_num, no more than --max-logprobs", then=_chosen),
    takes("prompt_logprobs", INT, "logprob_start_len 0, no more than --max-logprobs", then=_of_prompt),
    unless_nothing("prompt_logprob_token_ids", ANY, _SCORES),
    unless_nothing("prompt_logprob_start", ANY, "prompt_logprob_start requires prompt_logprob_token_ids", nothing=()),
    unless_nothing("logprob_token_ids", list_of(INT), _SCORES),
    ignored("flat_logprobs", _FLAG, _INSIDE),
    takes("detokenize", _FLAG, "whether the prompt's tokens are spelled beside their probabilities"),
    takes("skip_special_tokens", _FLAG),
    takes("spaces_between_special_tokens", _FLAG),
    becomes("include_stop_str_in_output", _FLAG, _keep_stop, "no_stop_trim"),
    ignored("output_kind", never_null(bounded(INT, ge=0, le=2)), "a stream has deltas and an answer all"),
    takes("stream_interval", bounded(INT, ge=1)),
    ignored("skip_clone", _FLAG, _INSIDE),
    ignored("output_text_buffer_length", _WHOLE, _INSIDE),
    check("structured_outputs", structured.structured_outputs, "one of json_schema, regex, ebnf, structural_tag"),
    takes("logit_bias", dict_of(FLOAT), "within the vocabulary, and no more than 100", then=tokens.biases),
    takes("allowed_token_ids", list_of(INT), "refused: SGLang cannot hold to them", then=tokens.allowed_ids),
    ignored("extra_args", DICT, "only a plugin of vLLM's reads it, and none runs here"),
    unless_nothing("bad_words", list_of(STR), "SGLang cannot keep words out of its output"),
    ignored("skip_reading_prefix_cache", BOOL, "SGLang knows itself when the cache will not do"),
    check("thinking_token_budget", thinking.budget, "refused, unless it is without limit"),
    REPETITION,
    takes("routed_experts_prompt_start", never_null(bounded(INT, ge=0)), "routed_experts_start_len"),
    unless_nothing("trace_decode_token_ids", list_of(INT), _TRACE),
)
_BY_NAME = {field.name: field for field in FIELDS}
_BOUNDS = Bounds()


def _sampled(draft: Draft, server: Server) -> None:
    given = _decoded(draft)
    inner = Draft({name: given[name] for name in _BY_NAME if name in given}, draft.policy, draft.told)
    inner.at = f"body.{SAMPLING}"
    for name in list(inner.fields):
        converter = _BY_NAME[name].converter
        if converter is not None:
            converter(inner, name)
    _BOUNDS(inner)
    seeded.ask(inner, server)
    draft.told.n = inner.number("n") or 1
    draft.replace(SAMPLING, inner.fields)


def _decoded(draft: Draft) -> dict[str, msgspec.Raw]:
    try:
        return _OBJECT.decode(draft.fields[SAMPLING])
    except msgspec.ValidationError:
        errors: Errors = []
        DICT.read(draft.value(SAMPLING), f"body.{SAMPLING}", errors)
        raise schema_error(errors) from None


sampled = Asking(_sampled)
