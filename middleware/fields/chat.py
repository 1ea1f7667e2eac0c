"""The fields of POST /v1/chat/completions that are not simply the same in vLLM 0.33.0 and SGLang 0.5.23.
Walked by `fields.edit`; a field that is not named here goes on as it came.
"""

from middleware.fields import effort, limits, logprobs, media, trust
from middleware.fields.guided import GUIDED
from middleware.fields.record import Table, check, same
from middleware.fields.sampling import Sampling
from middleware.fields.structured import one_constraint
from middleware.fields.usage import force_usage
from middleware.repair.tool_schemas import repair_tools

KEPT = "older SGLang did not take it and earlier shims cut it out; 0.5.23 does (VLLM_SHIM_STRIP_PARAMS for older ones)"

CHAT = Table(
    "chat",
    fields=(
        same("logprobs", KEPT),
        check("top_logprobs", logprobs.top_logprobs, "no more than --max-logprobs"),
        check("prompt_logprobs", logprobs.prompt_logprobs, "no more than --max-logprobs"),
        check("n", limits.sequences, "no more than VLLM_MAX_N_SEQUENCES"),
        check("stop", limits.stop_strings, "no more than VLLM_MAX_STOP_STRINGS"),
        check("chat_template_kwargs", trust.template_kwargs, "a template in it needs --trust-request-chat-template"),
        check("chat_template", trust.template, "to chat_template_kwargs, with --trust-request-chat-template"),
        check("mm_processor_kwargs", trust.processor_kwargs, "with --trust-request-mm-kwargs; most models ignore it"),
        check("media_io_kwargs", trust.media_kwargs, "refused: SGLang has no such thing"),
        check("reasoning_effort", effort.chat_effort, "by --reasoning-effort-map"),
        *GUIDED,
    ),
    repairs=(
        media.in_content("messages"),
        repair_tools,
        Sampling(lengths=("max_completion_tokens", "max_tokens")),
        force_usage,
    ),
    checks=(one_constraint,),
)
