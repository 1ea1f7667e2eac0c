"""The fields of POST /v1/responses that are not simply the same in vLLM 0.33.0 and SGLang 0.5.23.
Walked by `fields.edit`; a field that is not named here goes on as it came.
"""

from middleware.fields import effort, limits, logprobs, media, trust
from middleware.fields.record import Table, check
from middleware.fields.sampling import Sampling

RESPONSES = Table(
    "responses",
    fields=(
        check("top_logprobs", logprobs.logprobs, "no more than --max-logprobs"),
        check("stop", limits.stop_strings, "no more than VLLM_MAX_STOP_STRINGS"),
        check("chat_template_kwargs", trust.template_kwargs, "a template in it needs --trust-request-chat-template"),
        check("mm_processor_kwargs", trust.processor_kwargs, "with --trust-request-mm-kwargs"),
        check("media_io_kwargs", trust.media_kwargs, "refused: SGLang has no such thing"),
        check("reasoning", effort.responses_effort, "its effort by --reasoning-effort-map"),
    ),
    repairs=(media.in_content("input"), Sampling(lengths=("max_output_tokens",))),
)
