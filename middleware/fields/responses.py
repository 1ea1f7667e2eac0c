"""The fields of POST /v1/responses: each of vLLM 0.33.0's, and of SGLang 0.5.23's own.
Walked by `fields.edit`, in the order in which vLLM finds fault; a field that is not here goes no further.
"""

from middleware.fields import asked, common, effort, logprobs, media, names, sglang, trust
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

_FLAG = never_null(BOOL)
_ABSENT = "SGLang has no such thing on /v1/responses"
LENGTHS = (asked.LENGTH,)

FIELDS: tuple[Field, ...] = (
    # What vLLM looks at before the kinds of the rest.
    check("prompt", asked.no_template, "refused, by vLLM too"),
    takes("background", BOOL, "only of what is stored", then=asked.background),
    common.SALT,
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
    takes("service_tier", never_null(one_of("auto", "default", "flex", "scale", "priority"))),
    becomes("structured_outputs", DICT, asked.as_text_format, "text.format, where it asks for JSON"),
    takes("text", DICT),
    takes("tool_choice", never_null(asked.CHOICE)),
    takes("tools", never_null(list_of(DICT))),
    takes("truncation", one_of("auto", "disabled")),
    takes(
        "chat_template_kwargs", DICT, "with --trust-request-chat-template a template too", then=trust.template_kwargs
    ),
    takes("request_id", never_null(STR), "the same; the answer's id is made by `fields.told`"),
    takes("seed", bounded(INT, ge=-INT64, le=INT64 - 1), "ignored by SGLang, and counted: `fields.seed`"),
    unless_nothing("stop_token_ids", list_of(INT), _ABSENT),
    unless_nothing("logit_bias", dict_of(FLOAT), _ABSENT),
    unless_nothing("ignore_eos", _FLAG, _ABSENT),
    unless_nothing("include_stop_str_in_output", _FLAG, _ABSENT),
    unless_nothing("skip_special_tokens", BOOL, _ABSENT, nothing=(True,)),
    unless_nothing("spaces_between_special_tokens", _FLAG, _ABSENT, nothing=(True,)),
    unless_nothing("include_reasoning", _FLAG, _ABSENT, nothing=(True,)),
    unless_nothing("enable_response_messages", _FLAG, "messages of the harmony format are not told"),
    unless_nothing("previous_input_messages", list_of(DICT), "messages of the harmony format are not taken"),
    ignored("prompt_cache_key", STR, "a hint for OpenAI's caches; the prefix cache here needs none"),
    ignored("prompt_cache_options", DICT, "a hint for OpenAI's caches; the prefix cache here needs none"),
    ignored("prompt_cache_retention", STR, "a hint for OpenAI's caches; the prefix cache here needs none"),
    ignored("safety_identifier", STR, "OpenAI's own; vLLM only takes it"),
    *sglang.RESPONSES,
)

RESPONSES = Table(
    "responses",
    answer=Kind.RESPONSE,
    fields=FIELDS,
    repairs=(
        asked.input_given,
        unknown_to(FIELDS),
        names.named,
        media.in_content("input"),
        names.fits,
        Sampling(lengths=LENGTHS),
        Bounds(lengths=LENGTHS),
        unseeded,
        asked.headroom,
    ),
)
