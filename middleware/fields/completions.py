"""The fields of POST /v1/completions that are not simply the same in vLLM 0.33.0 and SGLang 0.5.23.
Walked by `fields.edit`; a field that is not named here goes on as it came.
"""

from middleware.fields import limits, logprobs
from middleware.fields.guided import GUIDED
from middleware.fields.record import Table, check
from middleware.fields.sampling import Sampling
from middleware.fields.structured import one_constraint
from middleware.fields.usage import force_usage

# Of a request that does not say, in vLLM and SGLang.
DEFAULT_LENGTH = 16

COMPLETIONS = Table(
    "completions",
    fields=(
        check("logprobs", logprobs.logprobs, "a number here, no more than --max-logprobs"),
        check("prompt_logprobs", logprobs.prompt_logprobs, "no more than --max-logprobs"),
        check("n", limits.sequences, "no more than VLLM_MAX_N_SEQUENCES"),
        check("stop", limits.stop_strings, "no more than VLLM_MAX_STOP_STRINGS"),
        check("prompt", limits.prompts, "no more of them than VLLM_MAX_COMPLETION_PROMPTS"),
        *GUIDED,
    ),
    repairs=(Sampling(implied=DEFAULT_LENGTH), force_usage),
    checks=(one_constraint,),
)
