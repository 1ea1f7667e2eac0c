"""The fields of POST /v1/chat/completions: each of vLLM 0.33.0's, of 0.8 to 0.11's, and of SGLang 0.5.23's own.
Walked by `fields.edit`, in the order in which vLLM finds fault; a field that is not here goes no further.
"""

from dataclasses import replace

from middleware.fields import (
    common,
    effort,
    ending,
    logprobs,
    media,
    names,
    response_format,
    sglang,
    structured,
    thinking,
    tokens,
    tools,
    trust,
)
from middleware.fields.bounds import Bounds
from middleware.fields.guided import GUIDED
from middleware.fields.kinds import BOOL, DICT, INT, STR, dict_of, list_of, never_null
from middleware.fields.messages import conversation
from middleware.fields.record import Field, Table, check, convert, same
from middleware.fields.sampling import Sampling
from middleware.fields.seed import seeded
from middleware.fields.told import Kind
from middleware.fields.typed import becomes, first, for_prompt, ours, takes
from middleware.fields.unknown import unknown_to
from middleware.fields.usage import STREAM_OPTIONS, force_usage, of_streams_only
from middleware.fields.wanted import token_ids
from middleware.repair.tool_schemas import repair_tools

LENGTHS = ("max_completion_tokens", "max_tokens")
_FLAG = never_null(BOOL)
_RENDERING = "the prompt's rendering"

FIELDS: tuple[Field, ...] = (
    # What vLLM looks at before the kinds of the rest.
    takes("continue_final_message", _FLAG, "with add_generation_prompt: false", then=ending.one_ending),
    for_prompt("add_generation_prompt", _FLAG, True, _RENDERING),
    first("tools", tools.TOOL_LIST, tools.not_empty, "schemas that are none are repaired: `repair.tool_schemas`"),
    first("tool_choice", tools.TOOL_CHOICE, tools.choice_of_tools, "as vLLM takes it"),
    takes("logprob_token_ids", list_of(INT), "refused", then=logprobs.of_tokens),
    first("prompt_logprobs", INT, logprobs.prompt_logprobs, "refused", then=logprobs.of_prompt),
    first("top_logprobs", INT, logprobs.top_logprobs, "no more than --max-logprobs", then=logprobs.few),
    first("stream_options", STREAM_OPTIONS, of_streams_only, "only of streams"),
    response_format.RECORD,
    common.SALT,
    same("messages", "vLLM's forms become SGLang's: `fields.messages`"),
    *common.EVERYWHERE,
    *common.MEDIA,
    *common.SAMPLING,
    *common.LENGTHS,
    takes("logprobs", BOOL),
    takes("max_tokens", INT, "no longer than the context"),
    takes("max_completion_tokens", INT, "no longer than the context"),
    takes("n", INT, "no more than VLLM_MAX_N_SEQUENCES"),
    takes("reasoning_effort", effort.EFFORT, "by --reasoning-effort-map", then=effort.chat_effort),
    check("thinking_token_budget", thinking.budget, "refused, unless it is without limit"),
    ours("include_reasoning", _FLAG, "the answer's editing: `fields.told`"),
    takes("parallel_tool_calls", BOOL, "the same; where SGLang does not hold to it the answer's editing does"),
    becomes("spaces_between_special_tokens", _FLAG, trust.spaces, "chat_template_kwargs"),
    ours("echo", _FLAG, "the answer's editing: `fields.told`"),
    for_prompt("add_special_tokens", _FLAG, False, _RENDERING),
    takes(
        "chat_template_kwargs", DICT, "with --trust-request-chat-template a template too", then=trust.template_kwargs
    ),
    becomes("documents", list_of(dict_of(STR)), trust.documents, "chat_template_kwargs"),
    becomes("chat_template", STR, trust.template, "chat_template_kwargs, with --trust-request-chat-template"),
    ours("return_prompt_text", BOOL, "the answer's editing"),
    *GUIDED,
    convert("structural_tag", structured.structural_tag, "response_format; vLLM's until 0.11"),
    *sglang.CHAT,
)

CHAT = Table(
    "chat",
    answer=Kind.CHAT,
    fields=FIELDS,
    repairs={
        "unknown_fields": unknown_to(FIELDS),
        "conversation": conversation,
        "adapters_of_prompts": names.adapter_given,
        "model": names.named,
        "tool_parser": tools.parsable,
        "media": media.in_content("messages"),
        "one_constraint": structured.one_constraint,
        "tools_win": response_format.tools_win,
        "repair_tools": repair_tools,
        "model_length": names.fits,
        "sampling": Sampling(lengths=LENGTHS),
        "limits": Bounds(lengths=LENGTHS),
        "seeded": seeded,
        "token_ids": token_ids,
        "force_usage": force_usage,
    },
)

# POST /v1/chat/completions/tokens, of prime-rl until May 2026: the prompt's ids beside the messages that they are of.
CHAT_TOKENS = replace(
    CHAT,
    name="chat_tokens",
    fields=(convert(tokens.TOKENS, tokens.chat_ids, "input_ids; no others than the vocabulary's"), *FIELDS),
    repairs={"ids_given": tokens.ids_given, **CHAT.repairs},
)
