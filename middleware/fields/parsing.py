"""/parse_function_call and /separate_reasoning: a text taken apart by one of SGLang's parsers.
Tables for `fields.edit`; a parser that SGLang 0.5.23 has not is its 500 without a word.
"""

from dataclasses import dataclass

from middleware.fields.draft import Draft
from middleware.fields.kinds import missing, never_null, one_of
from middleware.fields.record import Table
from middleware.fields.told import Kind
from middleware.fields.typed import read

TOOL_CALLS = (
    "apertus2509", "beam", "cohere_command4", "deepseekv3", "deepseekv31", "deepseekv32", "deepseekv4", "deepseekv41",
    "dots", "gemma4", "gigachat3", "gigachat35", "glm", "glm45", "glm47", "gpt-oss", "hermes", "hunyuan", "inkling",
    "interns1", "iquest_q1", "k2_horizon", "kimi_k2", "kimi_k3", "lfm2", "ling3", "llama3", "mimo", "minicpm5",
    "minimax-m2", "minimax-m3", "mistral", "muse", "nanbeige", "poolside_v1", "pythonic", "qwen", "qwen25",
    "qwen3_coder", "response_template", "spark25", "step3", "step3p5", "trinity",
)  # fmt: skip
REASONING = (
    "apertus2509", "beam", "cohere_command4", "deepseek-r1", "deepseek-v3", "deepseek-v4", "deepseek-v41", "dots",
    "gemma4", "gigachat35", "glm45", "gpt-oss", "granite_thinking_parser", "hunyuan", "inkling", "interns1",
    "iquest_q1", "k2_horizon", "kimi", "kimi_k2", "kimi_k3", "ling3", "mimo", "minimax", "minimax-append-think",
    "minimax-m3", "mistral", "muse", "nanbeige", "nemotron_3", "poolside_v1", "qwen3", "qwen3-thinking",
    "response_template", "step3", "step3p5",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Named:
    """A repair: the parser is named, and there."""

    field: str
    parsers: tuple[str, ...]

    def __call__(self, draft: Draft) -> None:
        if self.field not in draft.fields:
            raise missing([self.field], len(draft.fields))
        read(draft, self.field, never_null(one_of(*self.parsers)))


CALLS_PARSED = Table(
    "parse_function_call", answer=Kind.NATIVE, repairs={"parser": _Named("tool_call_parser", TOOL_CALLS)}
)
REASONING_PARSED = Table(
    "separate_reasoning", answer=Kind.NATIVE, repairs={"parser": _Named("reasoning_parser", REASONING)}
)
