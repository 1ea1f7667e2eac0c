"""The fields of POST /v1/chat/completions that are not simply the same in vLLM 0.33.0 and SGLang 0.5.23.
Walked by `fields.edit`; a field that is not named here goes on as it came.
"""

from middleware.fields.guided import GUIDED
from middleware.fields.record import Table, same
from middleware.fields.structured import one_constraint
from middleware.repair.tool_schemas import repair_tools

KEPT = "older SGLang did not take it and earlier shims cut it out; 0.5.23 does (VLLM_SHIM_STRIP_PARAMS for older ones)"

CHAT = Table(
    "chat",
    fields=(
        same("logprobs", KEPT),
        same("top_logprobs", KEPT),
        same("chat_template_kwargs", KEPT),
        *GUIDED,
    ),
    repairs=(repair_tools,),
    checks=(one_constraint,),
)
