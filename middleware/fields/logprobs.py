"""How many log probabilities a request may ask for: --max-logprobs, in vLLM's words.
Checks of the tables of chat, completions and responses; SGLang 0.5.23 dies of 50000.
"""

from middleware.errors import bad_value
from middleware.fields.draft import Draft

ALL = -1


def top_logprobs(draft: Draft, name: str) -> None:
    """Chat's: without `logprobs` they ask for nothing."""
    wanted = _number(draft, name)
    if wanted is not None and draft.value("logprobs"):
        _require_allowed(draft, wanted, "sample", "logprobs")


def logprobs(draft: Draft, name: str) -> None:
    """Completions' number of them, and the top_logprobs of responses."""
    wanted = _number(draft, name)
    if wanted is not None:
        _require_allowed(draft, wanted, "sample", "logprobs")


def prompt_logprobs(draft: Draft, name: str) -> None:
    wanted = _number(draft, name)
    if not wanted:
        return
    if draft.value("stream"):
        raise bad_value(f"`{name}` are not available when `stream=True`.", name)
    _require_allowed(draft, wanted, "prompt", name)


def _number(draft: Draft, name: str) -> int | None:
    value = draft.value(name)
    if value is None:
        return None
    number = draft.number(name)
    if number is None or isinstance(value, str):
        raise bad_value(f"`{name}` must be an integer.", name, value)
    if number < ALL:
        raise bad_value(f"`{name}` must be a positive value or -1.", name, value)
    return number


def _require_allowed(draft: Draft, wanted: int, kind: str, param: str) -> None:
    limit = draft.policy.max_logprobs
    if wanted == ALL and limit == ALL:
        raise bad_value("All of the vocabulary's logprobs are not to be had from SGLang: name a number.", param, ALL)
    if limit != ALL and (wanted == ALL or wanted > limit):
        # vLLM says how large the vocabulary is; here nobody knows.
        shown = "the whole vocabulary" if wanted == ALL else wanted
        message = f"Requested {kind} logprobs of {shown}, which is greater than max allowed: {limit}"
        raise bad_value(message, param, wanted)
