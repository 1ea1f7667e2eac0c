"""The fields of POST /v1/responses: each of vLLM 0.33.0's, and of SGLang 0.5.23's own, in two tables.
RESPONSES is of a request that becomes a chat (`middleware.responses`); STORED goes to SGLang's own /v1/responses, which
keeps responses where VLLM_ENABLE_RESPONSES_API_STORE asks for it. A field that is not here goes no further.
"""

from middleware.fields import asked, common, effort, logprobs, media, names, sglang, tokens, trust
from middleware.fields.bounds import Bounds
from middleware.fields.kinds import (
    BOOL,
    DICT,
    FLOAT,
    INT,
    INT64,
    STR,
    bounded,
    dict_of,
    list_of,
    never_null,
    one_of,
)
from middleware.fields.record import Field, Table, check, same
from middleware.fields.sampling import Sampling
from middleware.fields.seed import unseeded
from middleware.fields.told import Kind
from middleware.fields.typed import becomes, ignored, takes, unless_nothing
from middleware.fields.unknown import unknown_to
from middleware.responses.asking import TEXT
from middleware.responses.items import INPUT_KIND
from middleware.responses.tools import TOOL

_FLAG = never_null(BOOL)
_ABSENT = "SGLang has no such thing on /v1/responses"
_REPEATED = "the answer repeats it"
_HINT = "a hint for OpenAI's caches; the prefix cache here needs none"
LENGTHS = (asked.LENGTH,)
TIER = never_null(one_of("auto", "default", "flex", "scale", "priority"))
INCLUDED = list_of(
    one_of(
        "code_interpreter_call.outputs",
        "computer_call_output.output.image_url",
        "file_search_call.results",
        "message.input_image.image_url",
        "message.output_text.logprobs",
        "reasoning.encrypted_content",
    )
)
TEMPLATE_KWARGS = takes(
    "chat_template_kwargs", DICT, "with --trust-request-chat-template a template too", then=trust.template_kwargs
)
HARMONY: tuple[Field, ...] = (
    unless_nothing("enable_response_messages", _FLAG, "messages of the harmony format are not told"),
    unless_nothing("previous_input_messages", list_of(DICT), "messages of the harmony format are not taken"),
)

# What vLLM looks at before the kinds of the rest.
FIRST: tuple[Field, ...] = (
    check("prompt", asked.no_template, "refused, by vLLM too"),
    takes("background", BOOL, "only of what is stored", then=asked.background),
    common.SALT,
)

FIELDS: tuple[Field, ...] = (
    *FIRST,
    takes("input", INPUT_KIND, "messages: `responses.items`"),
    *common.EVERYWHERE,
    *common.MEDIA,
    *common.SAMPLING,
    takes("top_logprobs", INT, "no more than --max-logprobs", then=logprobs.few),
    takes("max_output_tokens", INT, "max_completion_tokens"),
    ignored("store", BOOL, "nothing is stored, as in vLLM"),
    takes("include", INCLUDED, "logprobs, if it names them"),
    takes("instructions", STR, "the first message"),
    takes("max_tool_calls", INT, "of tools that run on the server, and none do: repeated"),
    takes("metadata", dict_of(STR), _REPEATED),
    takes("parallel_tool_calls", BOOL),
    takes("previous_response_id", STR, "404: nothing is stored", then=asked.previous),
    takes("reasoning", DICT, "reasoning_effort"),
    takes("service_tier", TIER, _REPEATED),
    takes("structured_outputs", DICT),
    takes("text", TEXT, "response_format"),
    takes("tool_choice", never_null(asked.CHOICE), "chat's: `responses.tools`"),
    takes("tools", never_null(list_of(TOOL)), "chat's: `responses.tools`"),
    takes("truncation", one_of("auto", "disabled"), "auto cuts the prompt to the context"),
    TEMPLATE_KWARGS,
    takes("request_id", never_null(STR), "the answer's whole id: `dialect.ids`"),
    takes("seed", bounded(INT, ge=-INT64, le=INT64 - 1), "heeded only by deterministic inference: `fields.seed`"),
    takes("stop_token_ids", list_of(INT), "within the vocabulary", then=tokens.stop_ids),
    takes("logit_bias", dict_of(FLOAT), "within the vocabulary, and no more than 100", then=tokens.biases),
    takes("ignore_eos", _FLAG),
    takes("include_stop_str_in_output", _FLAG),
    takes("skip_special_tokens", BOOL),
    takes("spaces_between_special_tokens", _FLAG),
    takes("include_reasoning", _FLAG),
    *HARMONY,
    takes("prompt_cache_key", STR, _REPEATED),
    takes("prompt_cache_options", DICT, _REPEATED),
    takes("prompt_cache_retention", one_of("in_memory", "in-memory", "24h"), _REPEATED),
    takes("safety_identifier", STR, _REPEATED),
    *sglang.RESPONSES,
)

RESPONSES = Table(
    "responses",
    answer=Kind.RESPONSE,
    fields=FIELDS,
    # The rest is looked at in the chat that it becomes.
    repairs={
        "input_given": asked.input_given,
        "unknown_fields": unknown_to(FIELDS),
        "sampling": Sampling(lengths=LENGTHS),
        "limits": Bounds(lengths=LENGTHS),
    },
)

STORED_FIELDS: tuple[Field, ...] = (
    *FIRST,
    same("input", "names of media are looked at: `fields.media`"),
    *common.EVERYWHERE,
    takes("mm_processor_kwargs", DICT, "refused", then=asked.processor_kwargs),
    takes("media_io_kwargs", dict_of(DICT), "refused: SGLang has no such thing", then=trust.media_kwargs),
    *common.SAMPLING,
    takes("top_logprobs", INT, "no more than --max-logprobs", then=logprobs.few),
    takes("max_output_tokens", INT, "no longer than the context; two more, which SGLang takes away"),
    takes("store", BOOL),
    takes("include", list_of(STR)),
    takes("instructions", STR),
    takes("max_tool_calls", INT),
    takes("metadata", DICT),
    takes("parallel_tool_calls", BOOL),
    takes("previous_response_id", STR, "404 where nothing is stored", then=asked.previous),
    takes("reasoning", DICT, "its effort by --reasoning-effort-map", then=effort.responses_effort),
    takes("service_tier", TIER),
    becomes("structured_outputs", DICT, asked.as_text_format, "text.format, where it asks for JSON"),
    takes("text", DICT),
    takes("tool_choice", never_null(asked.CHOICE)),
    takes("tools", never_null(list_of(DICT))),
    takes("truncation", one_of("auto", "disabled")),
    TEMPLATE_KWARGS,
    takes("request_id", never_null(STR), "the same; the answer's id is made by `fields.told`"),
    takes("seed", bounded(INT, ge=-INT64, le=INT64 - 1), "ignored by SGLang, and counted: `fields.seed`"),
    unless_nothing("stop_token_ids", list_of(INT), _ABSENT),
    unless_nothing("logit_bias", dict_of(FLOAT), _ABSENT),
    unless_nothing("ignore_eos", _FLAG, _ABSENT),
    unless_nothing("include_stop_str_in_output", _FLAG, _ABSENT),
    unless_nothing("skip_special_tokens", BOOL, _ABSENT, nothing=(True,)),
    unless_nothing("spaces_between_special_tokens", _FLAG, _ABSENT, nothing=(True,)),
    unless_nothing("include_reasoning", _FLAG, _ABSENT, nothing=(True,)),
    *HARMONY,
    ignored("prompt_cache_key", STR, _HINT),
    ignored("prompt_cache_options", DICT, _HINT),
    ignored("prompt_cache_retention", STR, _HINT),
    ignored("safety_identifier", STR, "OpenAI's own; vLLM only takes it"),
    *sglang.RESPONSES,
)

STORED = Table(
    "stored_responses",
    answer=Kind.RESPONSE,
    fields=STORED_FIELDS,
    repairs={
        "input_given": asked.input_given,
        "unknown_fields": unknown_to(STORED_FIELDS),
        "model": names.named,
        "media": media.in_content("input"),
        "model_length": names.fits,
        "sampling": Sampling(lengths=LENGTHS),
        "limits": Bounds(lengths=LENGTHS),
        "unseeded": unseeded,
        "headroom": asked.headroom,
    },
)
