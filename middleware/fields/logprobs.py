"""How many log probabilities a request may ask for: --max-logprobs, in vLLM's words.
Checks of the tables of chat, completions and responses; SGLang 0.5.23 dies of 50000.
"""

from typing import Any

from middleware.errors import bad_value
from middleware.fields.draft import Draft

ALL = -1


def top_logprobs(draft: Draft, name: str) -> None:
    """Chat's, before their kind is looked at."""
    wanted = _number(draft, name)
    if wanted and not draft.value("logprobs"):
        raise bad_value(f"when using `{name}`, `logprobs` must be set to true.", name)


def number(draft: Draft, name: str) -> None:
    """Completions' `logprobs`, before their kind is looked at."""
    _number(draft, name)


def prompt_logprobs(draft: Draft, name: str) -> None:
    wanted = _number(draft, name)
    if wanted and draft.value("stream"):
        raise bad_value(f"`{name}` are not available when `stream=True`.", name)


def few(draft: Draft, name: str, value: Any) -> None:
    """No more than the operator allows, and all of them not at all."""
    if value:
        _require_allowed(draft, int(value), "sample", "logprobs")


def few_of_prompt(draft: Draft, name: str, value: Any) -> None:
    if value:
        _require_allowed(draft, int(value), "prompt", name)


def of_prompt(draft: Draft, name: str, value: Any) -> None:
    few_of_prompt(draft, name, value)
    raise bad_value(f"{name} is not supported: SGLang's chat has none. /v1/completions has them.", name)


def of_completed_prompt(draft: Draft, name: str, value: Any) -> None:
    """SGLang has them on /generate, where such a completion is sent. vLLM's streams, which take a 0, tell none."""
    few_of_prompt(draft, name, value)
    draft.drop(name)
    if not draft.value("stream"):
        draft.told.prompt_logprobs = int(value)


def of_tokens(draft: Draft, name: str, value: Any) -> None:
    if not value:
        draft.drop(name)
        return
    if draft.value("logprobs") in (None, False):
        raise bad_value(f"when using `{name}`, `logprobs` must be set to true.", name)
    raise bad_value(f"{name} is not supported: SGLang has them on /generate alone.", name)


def echoed(draft: Draft) -> None:
    """Of an echoed prompt SGLang has log probabilities only where some are asked for beside the chosen token's."""
    if "logprobs" not in draft.fields:
        return
    draft.told.logprobs = draft.number("logprobs")
    if draft.told.logprobs == 0 and draft.told.echo:
        draft.replace("logprobs", 1)


def _number(draft: Draft, name: str) -> int | None:
    value = draft.value(name)
    if value is None:
        return None
    if not isinstance(value, int | float):
        raise bad_value(f"`{name}` must be an integer.", name, value)
    if value < 0 and value != ALL:
        raise bad_value(f"`{name}` must be a positive value or -1.", name, value)
    return int(value)


def _require_allowed(draft: Draft, wanted: int, kind: str, param: str) -> None:
    limit = draft.policy.max_logprobs
    vocab_size = draft.policy.vocab_size
    if wanted == ALL and limit == ALL:
        raise bad_value("All of the vocabulary's logprobs are not to be had from SGLang: name a number.", param, ALL)
    if limit == ALL and vocab_size is not None:
        limit = vocab_size
    if limit != ALL and (wanted == ALL or wanted > limit):
        told: object = wanted
        if wanted == ALL:  # vLLM says how large the vocabulary is; here perhaps nobody knows.
            told = vocab_size or "the whole vocabulary"
            wanted = vocab_size or ALL
        message = f"Requested {kind} logprobs of {told}, which is greater than max allowed: {limit}"
        raise bad_value(message, param, wanted)
