"""The fields of POST /v1/completions: each of vLLM 0.33.0's, of 0.8 to 0.11's, and of SGLang 0.5.23's own.
Walked by `fields.edit`, in the order in which vLLM finds fault; a field that is not here goes no further.
"""

from middleware.fields import common, infill, logprobs, names, response_format, sglang, structured, thinking
from middleware.fields.bounds import Bounds
from middleware.fields.guided import GUIDED
from middleware.fields.kinds import BOOL, INT, STR, list_of, never_null
from middleware.fields.prompt import prompt_given
from middleware.fields.record import Field, Table, check, same
from middleware.fields.sampling import Sampling
from middleware.fields.seed import seeded
from middleware.fields.told import Kind
from middleware.fields.typed import first, for_prompt, takes, unless_nothing
from middleware.fields.unknown import unknown_to
from middleware.fields.usage import STREAM_OPTIONS, force_usage, of_streams_only
from middleware.fields.wanted import echoed_ids

# Of a request that does not say, in vLLM and SGLang.
DEFAULT_LENGTH = 16
_FLAG = never_null(BOOL)

FIELDS: tuple[Field, ...] = (
    # What vLLM looks at before the kinds of the rest.
    first("stream_options", STREAM_OPTIONS, of_streams_only, "only of streams"),
    takes("logprob_token_ids", list_of(INT), "refused", then=logprobs.of_tokens),
    first("prompt_logprobs", INT, logprobs.prompt_logprobs, "of /generate's answer", then=logprobs.of_completed_prompt),
    first("logprobs", INT, logprobs.number, "a number here, no more than --max-logprobs", then=logprobs.few),
    response_format.RECORD,
    common.SALT,
    same("prompt", "text, texts, token ids: `fields.prompt`"),
    *common.EVERYWHERE,
    *common.MEDIA,
    *common.SAMPLING,
    *common.LENGTHS,
    takes("echo", BOOL),
    takes("max_tokens", INT, "none at all only with echo"),
    takes("n", never_null(INT), "no more than VLLM_MAX_N_SEQUENCES"),
    takes("suffix", STR, "refused: of models that fill in", then=infill.suffix),
    check("prompt_embeds", infill.embeds, "refused: vLLM takes them with --enable-prompt-embeds alone"),
    for_prompt("add_special_tokens", _FLAG, True, "the prompt's tokenizing"),
    unless_nothing("spaces_between_special_tokens", _FLAG, "SGLang always has spaces there", nothing=(True,)),
    check("thinking_token_budget", thinking.budget, "refused, unless it is without limit"),
    *GUIDED,
    *sglang.COMPLETIONS,
)

COMPLETIONS = Table(
    "completions",
    answer=Kind.COMPLETION,
    fields=FIELDS,
    repairs={
        "unknown_fields": unknown_to(FIELDS),
        "prompt_given": prompt_given,
        "adapters_of_prompts": names.adapter_given,
        "model": names.named,
        "one_constraint": structured.one_constraint,
        "model_length": names.fits,
        "sampling": Sampling(implied=DEFAULT_LENGTH),
        "limits": Bounds(implied=DEFAULT_LENGTH, echoes=True),
        "echoed": logprobs.echoed,
        "seeded": seeded,
        "echoed_ids": echoed_ids,
        "force_usage": force_usage,
    },
)
