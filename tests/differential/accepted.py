"""THE list of what stays different, with the reason: docs/compatibility.md is made from it.
The test fails for a difference that is not here, and for an entry that no difference needs.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.differential.difference import Accepted


@dataclass(frozen=True, slots=True)
class Topic:
    title: str
    entries: tuple[Accepted, ...]


NO_NCCL = "501 with what to do instead, where a vLLM without --weight-transfer-config says 500"
SCALE_OUT = "of what --enable-scale-out brings the token routes are served; these are 501, with a sentence"
OLDER_TOKENS = "the names until vLLM 0.31, `token` and `bytes`, beside `token_id`, for clients that still read them"
NO_TIMES = "--enable-per-request-metrics is ignored: /metrics has the same times"
SGLANG = "SGLang's own route, for those who know it; vLLM has none of that name"

OWN = "SGLang's own field, which vLLM does not know and ignores: "
LATE_IDS = "SGLang tells the ids of a chat's tokens when it has ended: they stand in the last chunk, all of them"
OWN_CHUNK = (
    "the end comes in a chunk of its own: the last piece of text is not held back until it is known to be the last"
)
TWO_AT_ONCE = "SGLang put the first two tokens into one chunk, and nothing but the first chunk followed"
BY_TOKEN = (
    "SGLang's cache shares single tokens, vLLM's whole blocks: more of the prompt was read from it, and told beside it"
)
NO_ROOM = (
    "SGLang wants seven tokens of room behind a prompt: cut to the context is cut to a little less, a longer one is 400"
    ", and an answer that fills the context ends two tokens before its end"
)
NO_RANKS = (
    "SGLang's chat has none: asked for it is 400. Completions have them, but for the rank of a token behind those that "
    "were asked for, which is told as the next; beside an echo, which has them in `logprobs`, it is null"
)
OLDER_NAME = "the name until vLLM 0.11, beside `reasoning`, for clients that still read it"
FORCED = (
    "vLLM's grammar lets the model write its call with any blanks, and the length cut it off; SGLang's allows fewer, "
    "and the call was whole in time"
)
MASK = "SGLang has no mask of tokens but logit_bias: 400, and not an answer that does not keep to it"
BEAM = "SGLang has no beam search on these routes: 400, and not another sampling"
NO_BUDGET = "SGLang does not count the tokens of a thought: 400, and not a thought without end"
NO_WHITESPACE = "SGLang sets the blanks of JSON for the whole server: 400, and not other blanks than asked for"
LARK = "SGLang's grammars are GBNF: Lark, which vLLM also takes, is 400 and not free text"
GRAMMAR = (
    "SGLang keeps to a grammar only behind the thoughts, vLLM from the first token: this model never ends its thoughts"
)
UNWANTED = "thoughts that a model writes though they were switched off: SGLang parts them from the answer all the same"


TOPICS: tuple[Topic, ...] = (
    Topic(
        "Answers and streams",
        (
            Accepted("*", "choices[].message.reasoning_content", "extra", OLDER_NAME),
            Accepted("*", "<*>.choices[].delta.reasoning_content", "extra", OLDER_NAME),
            Accepted(
                "chat_logprobs_stream | chat_n2_stream | v_return_tokens_as_token_ids_stream | v_stream_*"
                " | v_return_token_ids_n2_stream | v2_abort_stream_len1 | v_lora_zero_stream",
                "stream*",
                "sequence",
                OWN_CHUNK,
            ),
            Accepted(
                "v_stop_string_stream | v2_unicode_stream | v2_tools_*_full_stream", "stream", "sequence", LATE_IDS
            ),
            Accepted("v_comp_echo_logprobs_stream", "<text>.choices[].prompt_token_ids", "type", TWO_AT_ONCE),
            Accepted("v_comp_truncate_neg1", "usage.prompt_tokens", "value", NO_ROOM),
            Accepted("*", "<*>.choices[].token_ids", "type", LATE_IDS),
            Accepted("*", "choices[].prompt_logprobs", "type", NO_RANKS),
            Accepted("v_echo", "prompt_logprobs", "type", NO_RANKS),
            Accepted("v_prompt_logprobs", "status", "status", NO_RANKS),
            Accepted(
                "v_orca_header*", "header endpoint-load-metrics", "missing", "not told: /metrics has these numbers"
            ),
            Accepted(
                "v_return_weight_versions | v_inf_generate*",
                "*choices[].weight_versions[].version",
                "value",
                "vLLM's weights had been updated before; the version is that of the start",
            ),
            Accepted("v_reasoning_messages", "usage.input_tokens", "value", BY_TOKEN),
            Accepted("v_messages_tools_stream", "<message_delta>.delta.stop_reason", "value", FORCED),
            Accepted(
                "tools_named | tools_required* | v_tools_named_null_args | v_tools_required_parallel_false",
                "choices[].*",
                "*",
                FORCED,
            ),
        ),
    ),
    Topic(
        "Reasoning",
        (
            Accepted("v_reasoning_exclude*", "*", "*", GRAMMAR),
            Accepted(
                "v_reasoning_thinking_off | v_reasoning_effort_none", "choices[].message.reasoning", "type", UNWANTED
            ),
            Accepted(
                "reasoning_not_separated",
                "choices[].message.*",
                "type",
                OWN + "separate_reasoning false keeps thoughts in",
            ),
            Accepted("v_reasoning_budget", "status", "status", NO_BUDGET),
        ),
    ),
    Topic(
        "What SGLang cannot do is refused",
        (
            Accepted("v_allowed_token_ids | v_bad_words", "status", "status", MASK),
            Accepted("v_beam_search | v_comp_beam", "status", "status", BEAM),
            Accepted("v_so_grammar_lark", "status", "status", LARK),
            Accepted("v_so_whitespace", "status", "status", NO_WHITESPACE),
            Accepted("v_repetition_penalty_big", "status", "status", "SGLang takes a repetition_penalty of 2 at most"),
            Accepted("v_repetition_detection", "status", "status", "SGLang does not look for repetitions"),
            Accepted(
                "v_tools_bad_schema",
                "status",
                "status",
                "SGLang makes a grammar of every tool, and of this schema it cannot",
            ),
            Accepted(
                "emb_v_no_normalize",
                "status",
                "status",
                "SGLang normalizes as the model says: 400, and not another vector",
            ),
            Accepted(
                "v_reset_encoder_cache",
                "status",
                "status",
                "/flush_cache of SGLang does not drop what an encoder made: 501",
            ),
            Accepted(
                "v_systemone",
                "status",
                "status",
                "SGLang has this API, with questions of other types, and says so before it looks at the model",
            ),
            Accepted(
                "v_tokenizer_info",
                "*",
                "*",
                "told from the tokenizer's files, of which vLLM shows a few more and the name of its own class",
            ),
        ),
    ),
    Topic(
        "SGLang's own fields on vLLM's routes",
        (
            Accepted("chat_bad_regex", "status", "status", OWN + "regex is kept to, and this one is none"),
            Accepted("err_regex_and_schema", "status", "status", OWN + "of regex and response_format one is kept to"),
            Accepted("chat_return_hidden_states", "status", "status", OWN + "the server was not started for it"),
            Accepted("chat_return_ids_stream", "status", "status", OWN + "return_prompt_token_ids is not for streams"),
            Accepted(
                "crash_chat_input_ids_oov", "status", "status", OWN + "input_ids outside the vocabulary would end it"
            ),
            Accepted("lora_unknown_path", "status", "status", OWN + "lora_path must name an adapter that is there"),
        ),
    ),
    Topic(
        "Where vLLM errs",
        (
            Accepted(
                "badtype_chat_structured_outputs",
                "status",
                "status",
                "500 in vLLM, for a string where an object belongs",
            ),
        ),
    ),
    Topic(
        "Control and training",
        (
            Accepted("v_collective_rpc", "status", "status", "500 in vLLM; which methods there are is in the sentence"),
            Accepted("POST /init_weight_transfer_engine", "status", "status", NO_NCCL),
            Accepted("POST /start_weight_update", "status", "status", NO_NCCL),
            Accepted("POST /finish_weight_update", "status", "status", NO_NCCL),
            Accepted("v_chat_while_paused_abort", "header retry-after", "extra", "as with each of our 503"),
        ),
    ),
    Topic(
        "Rendering and token endpoints",
        (
            Accepted("v_inf_generate_logprobs", "choices[].logprobs.content[].*", "*", OLDER_TOKENS),
            Accepted("POST /v1/*/render", "status", "status", SCALE_OUT),
            Accepted("POST /v1/chat/completions/derender", "status", "status", SCALE_OUT),
        ),
    ),
    Topic(
        "What is here and not in vLLM",
        (
            Accepted("POST /generate", "status", "status", SGLANG),
            Accepted("POST /parse_function_call", "status", "status", SGLANG),
            Accepted("POST /separate_reasoning", "status", "status", SGLANG),
            Accepted("POST /api/chat", "status", "status", SGLANG),
            Accepted("GET /ready", "status", "status", "for routing by readiness: 503 also while paused or asleep"),
            Accepted(
                "GET /version", "header x-vllm-to-sglang", "extra", "our own version, beside the one that we speak for"
            ),
        ),
    ),
    Topic(
        "Metrics",
        (
            Accepted("GET /metrics", "header content-type", "value", "text format 0.0.4, which every scraper reads"),
            Accepted("*", "metrics", "type", NO_TIMES),
            Accepted("*", "*metrics", "missing", NO_TIMES),
        ),
    ),
)
ACCEPTED = tuple(entry for topic in TOPICS for entry in topic.entries)
