"""THE table of SGLang's complaints about a request that vLLM has words of its own for.
Walked by `errors` for every 400; a message that is not here goes on as it came, without the server's paths.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from middleware.fields.told import Told

Words = Callable[[re.Match[str], Told], str]


@dataclass(frozen=True, slots=True)
class Sentence:
    """With `param` the message ends as vLLM's VLLMValidationError: which parameter, and its value if there is one."""

    theirs: re.Pattern[str]
    ours: str | Words
    param: str | None = None
    # The group with the value.
    value: int | None = None
    status: int = 400
    # Whether the message says so, or is but about it.
    suffixed: bool = True

    def told(self, found: re.Match[str], told: Told) -> str:
        message = found.expand(self.ours) if isinstance(self.ours, str) else self.ours(found, told)
        if self.param is None or not self.suffixed:
            return message
        value = "" if self.value is None else f", value={found[self.value]}"
        return f"{message} (parameter={self.param}{value})"


def _sentence(theirs: str, ours: str | Words, param: str | None = None, value: int | None = None) -> Sentence:
    return Sentence(re.compile(theirs, re.DOTALL), ours, param, value)


def too_long(prompt: int, limit: int, *, is_ids: bool) -> str:
    """Of a text vLLM counts no further than one beyond the limit; ids it has already."""
    if prompt == limit:
        return f"max_tokens must be at least 1, got 0. {_of('max_tokens', 0)}"
    counted = prompt if is_ids else limit + 1
    contains = f"contains {counted}" if is_ids else f"contains at least {counted}"
    return (
        f"This model's maximum context length is {limit} tokens. However, your prompt {contains} input tokens, which "
        "exceeds this limit even without any output tokens. Please reduce the length of the input prompt. "
        f"{_of('input_tokens', counted)}"
    )


def _too_long(found: re.Match[str], told: Told) -> str:
    return too_long(int(found[1]), int(found[2]), is_ids=told.prompt_is_ids)


def _no_room(found: re.Match[str], told: Told) -> str:
    """SGLang keeps the last tokens of its context for itself, or has less memory than it: what it names is too many."""
    return too_long(int(found[1]), int(found[2]) - 1, is_ids=True)


def _of(param: str, value: object) -> str:
    return f"(parameter={param}, value={value})"


def _unknown_tokens(found: re.Match[str], told: Told) -> str:
    return (
        f"token_id(s) [{found[2]}] in logit_bias contain out-of-vocab token ids. "
        f"Vocabulary size: {int(found[1]) + 1} {_of('logit_bias', [int(found[2])])}"
    )


def _not_multimodal(found: re.Match[str], told: Told) -> str:
    return f"{told.model or 'The model'} is not a multimodal model"


def _no_adapter(found: re.Match[str], told: Told) -> str:
    return f"The model `{told.model or found[1]}` does not exist."


def _no_matryoshka(found: re.Match[str], told: Told) -> str:
    return f"Model '{told.model or '<path>'}' does not support Matryoshka embeddings; dimensions must be unset."


SENTENCES: tuple[Sentence, ...] = (
    _sentence(
        r"Messages cannot be empty\.",
        "Cannot apply chat template to an empty conversation. Provide at least one message.",
    ),
    _sentence(r"Prompt cannot be empty", "Either prompt or prompt_embeds must be provided and non-empty.", "prompt"),
    _sentence(r"Input cannot be empty", "The decoder prompt cannot be empty"),
    _sentence(r"(top_p must be in \(0, 1\], got (\S+)\.)", r"\1", "top_p", 2),
    _sentence(
        r"temperature must be a non-negative finite number, got (\S+)\.",
        r"temperature must be non-negative, got \1.",
        "temperature",
        1,
    ),
    _sentence(
        r"max_new_tokens must be at least 0, got (\S+)\.", r"max_tokens must be at least 1, got \1.", "max_tokens", 1
    ),
    _sentence(
        r"min_new_tokens must be in \[0, max_new_tokens\((\d+)\)\], got (\S+)\.",
        r"min_tokens must be less than or equal to max_tokens=\1, got \2.",
    ),
    Sentence(
        re.compile(r"logit_bias must has keys in \[0, (\d+)\], got (-?\d+)\."),
        _unknown_tokens,
        "logit_bias",
        suffixed=False,
    ),
    Sentence(
        re.compile(r"invalid literal for int\(\) with base 10: ('[^']{0,100}')"),
        r"logit_bias contains key(s) that cannot be converted to integer token IDs: [\1] "
        r"(parameter=logit_bias, value=[\1])",
        "logit_bias",
        suffixed=False,
    ),
    _sentence(
        r"Tools cannot be empty if tool choice is set .*",
        "When using `tool_choice`, `tools` must be set.",
        "tool_choice",
    ),
    _sentence(
        r"Tool '.*' not found in tools list\.",
        "The tool specified in `tool_choice` does not match any of the specified `tools`",
        "tool_choice",
    ),
    _sentence(
        r"schema_ is required for json_schema response format request\.",
        "When response_format type is 'json_schema', the 'json_schema' field must be provided.",
        "response_format",
    ),
    _sentence(
        r"Only one of json_schema, regex, ebnf, or structural_tag can be set\.",
        "You can only use one kind of constraints for structured outputs ('json', 'regex' or 'choice').",
    ),
    _sentence(r"Failed to compile \w+ grammar: (?:\[[\d:]+\] \S+:\d+: )?(.*?)\s*", r"Grammar error: \1"),
    _sentence(r"Model only supports text input; received unsupported content type .*", _not_multimodal),
    Sentence(
        re.compile(r"LoRA adapter '(.*?)' was requested, but .*", re.DOTALL),
        _no_adapter,
        "model",
        status=404,
        suffixed=False,
    ),
    _sentence(r"Model '.*' does not support matryoshka representation, .*", _no_matryoshka),
    Sentence(
        re.compile(r"The input \((\d+) tokens\) is longer than the model's context length \((\d+) tokens\)\."),
        _too_long,
        "input_tokens",
        suffixed=False,
    ),
    Sentence(
        re.compile(
            r"Input length \((\d+) tokens\) exceeds the maximum allowed length \((\d+) tokens\)\. .*", re.DOTALL
        ),
        _no_room,
        "input_tokens",
        suffixed=False,
    ),
    Sentence(
        re.compile(r"max_completion_tokens is too large: (\d+)\.This model supports at most (\d+) completion tokens\."),
        r"max_tokens=\1 cannot be greater than max_model_len=\2. Please request fewer output tokens.",
        "max_tokens",
        1,
    ),
    Sentence(
        re.compile(
            r"Requested token count exceeds the model's maximum context length of (\d+) tokens\. .*? and (\d+) tokens "
            r"for the completion\. .*",
            re.DOTALL,
        ),
        r"max_tokens=\2 cannot be greater than max_model_len=\1. Please request fewer output tokens.",
        "max_tokens",
        2,
    ),
)


def retold(message: str, told: Told) -> tuple[str, str | None, int] | None:
    """Message, param and status; None where vLLM has no words that we know."""
    for sentence in SENTENCES:
        found = sentence.theirs.fullmatch(message)
        if found is not None:
            words = sentence.told(found, told)
            param = "max_tokens" if words.startswith("max_tokens must be at least 1") else sentence.param
            return words, param, sentence.status
    return None
