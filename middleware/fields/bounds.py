"""The bounds of sampling, which vLLM holds a request against once its fields are of the right kind, in vLLM's words.
A repair of the tables, after the server's defaults: what they set is held against the bounds like the rest.
"""

from dataclasses import dataclass
from typing import Any

from middleware.errors import bad_request, bad_value
from middleware.fields.draft import Draft
from middleware.fields.sampling import LENGTH

# Below it vLLM takes a temperature for 0, and up to the other one for that.
GREEDY = 1e-5
LOWEST_TEMPERATURE = 0.01
# SGLang 0.5.23 refuses more.
HIGHEST_REPETITION_PENALTY = 2.0
# More than any vocabulary has.
NO_TOP_K = 2**30


@dataclass(frozen=True, slots=True)
class Bounds:
    lengths: tuple[str, ...] = (LENGTH,)
    # The length of a request that says nothing, where vLLM has one.
    implied: int | None = None
    # Whether an answer of nothing but the prompt is to be had.
    echoes: bool = False

    def __call__(self, draft: Draft) -> None:
        fields = draft.fields
        if "n" in fields:
            sequences(draft, draft.number("n"))
        for name in ("presence_penalty", "frequency_penalty"):
            if name in fields:
                _penalty(name, draft.value(name))
        if "repetition_penalty" in fields:
            _repetition_penalty(draft.value("repetition_penalty"))
        temperature = draft.value("temperature") if "temperature" in fields else None
        if temperature is not None:
            _temperature(draft, temperature)
        if "top_p" in fields:
            _top_p(draft.value("top_p"))
        if "top_k" in fields:
            _top_k(draft, draft.number("top_k"))
        if "min_p" in fields:
            _min_p(draft.value("min_p"))
        self._length(draft)
        if "n" in fields and temperature is not None and temperature < GREEDY and (draft.number("n") or 1) > 1:
            raise bad_request(f"n must be 1 when using greedy sampling, got {draft.number('n')}.")

    def _length(self, draft: Draft) -> None:
        given = next((name for name in self.lengths if draft.given(name)), None)
        wanted = self.implied if given is None else draft.number(given)
        if wanted is not None and wanted < 1:
            if not (self.echoes and wanted == 0 and draft.value("echo")):
                raise bad_value(f"{LENGTH} must be at least 1, got {wanted}.", LENGTH, wanted)
            # One token is the least that SGLang makes; the answer's editing takes it away again.
            draft.told.only_prompt = True
            draft.replace(given or LENGTH, 1)
            wanted = 1
        if "min_tokens" not in draft.fields:
            return
        least = draft.number("min_tokens") or 0
        if least < 0:
            raise bad_request(f"min_tokens must be greater than or equal to 0, got {least}.")
        if wanted is not None and least > wanted:
            raise bad_request(f"min_tokens must be less than or equal to {LENGTH}={wanted}, got {least}.")


def sequences(draft: Draft, wanted: int | None) -> None:
    limit = draft.policy.max_n
    if wanted is None:
        return
    if wanted < 1:
        raise bad_request(f"n must be at least 1, got {wanted}.")
    if wanted > limit:
        raise bad_request(
            f"n must be at most {limit}, got {wanted}. "
            "To increase this limit, set the VLLM_MAX_N_SEQUENCES environment variable."
        )


def _penalty(name: str, value: Any) -> None:
    if value is not None and not -2 <= value <= 2:
        raise bad_request(f"{name} must be in [-2, 2], got {float(value)}.")


def _repetition_penalty(value: Any) -> None:
    if value is None:
        return
    if not value > 0:  # What is no number at all is not.
        raise bad_request(f"repetition_penalty must be greater than zero, got {float(value)}.")
    if value > HIGHEST_REPETITION_PENALTY:
        raise bad_request(
            f"repetition_penalty must be at most {HIGHEST_REPETITION_PENALTY}, got {float(value)}: "
            "SGLang knows no stronger one."
        )


def _temperature(draft: Draft, value: Any) -> None:
    if not value >= 0:
        raise bad_value(f"temperature must be non-negative, got {float(value)}.", "temperature", float(value))
    if value > 2:
        raise bad_value(f"temperature must be in [0, 2], got {float(value)}.", "temperature", float(value))
    if GREEDY <= value < LOWEST_TEMPERATURE:
        draft.replace("temperature", LOWEST_TEMPERATURE)


def _top_p(value: Any) -> None:
    if value is not None and not 0 < value <= 1:
        raise bad_value(f"top_p must be in (0, 1], got {float(value)}.", "top_p", float(value))


def _top_k(draft: Draft, value: int | None) -> None:
    if value is None:
        return
    if value < -1:
        raise bad_request(f"top_k must be 0 (disable), or at least 1, got {value}.")
    # No limit is 0 in vLLM and -1 in SGLang, which answers 400 to a 0 and dies of what its int32 cannot hold.
    if value == 0 or value >= NO_TOP_K:
        draft.replace("top_k", -1)


def _min_p(value: Any) -> None:
    if value is not None and not 0 <= value <= 1:
        raise bad_request(f"min_p must be in [0, 1], got {float(value)}.")
