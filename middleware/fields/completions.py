"""The fields of POST /v1/completions that are not simply the same in vLLM 0.33.0 and SGLang 0.5.23.
Walked by `fields.edit`; a field that is not named here goes on as it came.
"""

from middleware.fields.guided import GUIDED
from middleware.fields.record import Table, same
from middleware.fields.structured import one_constraint

COMPLETIONS = Table(
    "completions",
    fields=(
        same("logprobs", "a number here; VLLM_SHIM_STRIP_PARAMS cuts it out for SGLang that does not take it"),
        *GUIDED,
    ),
    checks=(one_constraint,),
)
