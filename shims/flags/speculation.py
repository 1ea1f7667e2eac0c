"""One speculative configuration of vLLM's, read: which of SGLang's algorithms it asks for, with which draft, and how
many tokens ahead. `flags.speculative` makes SGLang's flags of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shims.flags.record import Outcome, dropped, invalid, refused
from shims.values.shapes import is_count
from shims.values.speculative import (
    ALGORITHM,
    COUNTS,
    EXACT,
    INEXACT,
    KEYS,
    METHOD_BY_NAME,
    NEEDS_A_DRAFT,
    ONLY_SLOWER,
    SPEED_ONLY,
    WORDS,
)

NGRAM = ("ngram", "[ngram]", "ngram_gpu")


@dataclass(frozen=True, slots=True)
class Speculation:
    algorithm: str
    model: str | None  # None: no draft, or one that the model itself brings
    tokens: int | None  # None: SGLang chooses
    settings: dict[str, Any]  # vLLM's own keys, without those that are null

    @property
    def left_out(self) -> str:
        names = [key for key in self.settings if key in SPEED_ONLY and self.settings[key] is not False]
        return f"without {', '.join(names)} (speed only)" if names else ""


def read(config: dict[str, Any], target: str) -> Speculation | Outcome:
    """What cannot be is an Outcome. `target`: the model that the draft is for."""
    settings = {str(key).replace("-", "_"): value for key, value in config.items() if value is not None}
    if wrong := _misshapen(settings) or _inexact(settings):
        return wrong
    method = _method(settings, target)
    if method in ONLY_SLOWER:
        return dropped(f"SGLang does not speculate by '{method}': the answers are the same and come slower")
    if method in ("custom_class", "extract_hidden_states"):
        return refused(f"'{method}' is code of vLLM's, which SGLang cannot load; leave it out")
    if method not in ALGORITHM:
        return invalid(f"'{method}' is no method; those are {', '.join(sorted(ALGORITHM))}")
    model = settings.get("model") if method not in NGRAM else None
    algorithm, tokens = ALGORITHM[method], settings.get("num_speculative_tokens")
    if algorithm in NEEDS_A_DRAFT and not model:
        return invalid(f"method '{method}' needs a draft: give its name or folder as 'model'")
    if tokens is None and (model is None or algorithm == "STANDALONE"):
        return invalid("give num_speculative_tokens")
    return Speculation(algorithm, None if model == target else model, tokens, settings)


def _misshapen(settings: dict[str, Any]) -> Outcome | None:
    if "tensor_parallel_size" in settings:
        return invalid("it has no 'tensor_parallel_size'; vLLM means draft_tensor_parallel_size")
    if odd := [key for key in settings if key not in KEYS]:
        return invalid(f"it has no '{odd[0]}'; it has {', '.join(sorted(KEYS))}")
    if odd := [key for key in WORDS if key in settings and not isinstance(settings[key], str)]:
        return invalid(f"its {odd[0]} is no text")
    if odd := [key for key in COUNTS if key in settings and not is_count(settings[key])]:
        return invalid(f"its {odd[0]} is {settings[odd[0]]!r:.60}: give 1 or more")
    least, most = settings.get("prompt_lookup_min", 1), settings.get("prompt_lookup_max")
    return invalid(f"its prompt_lookup_min {least} is above {most}") if most is not None and least > most else None


def _inexact(settings: dict[str, Any]) -> Outcome | None:
    for key in ("rejection_sample_method", "acceptance_method"):
        word = settings.get(key, EXACT[0])
        if word in INEXACT:
            return refused(f"SGLang takes a drafted token only where the model agrees, and '{word}' takes others too")
        if word not in EXACT:
            return invalid(f"its {key} is '{word}', which vLLM does not know")
    if odd := [key for key in settings if key.startswith("synthetic_")]:
        return invalid(f"{odd[0]} is for rejection_sample_method synthetic alone")
    if settings.get("use_heterogeneous_vocab"):
        return refused("SGLang's draft must have the model's own vocabulary: leave use_heterogeneous_vocab out")
    return None


def _method(settings: dict[str, Any], target: str) -> str:
    """As vLLM 0.33.0 finds it, as far as names tell."""
    method, model = settings.get("method"), settings.get("model", "")
    if method in NGRAM or (method is None and model in NGRAM):
        return "ngram"
    if method is None and _is_import_path(model):
        return "custom_class"
    if method not in (None, "draft_model"):
        return "mtp" if method.endswith("_mtp") else str(method)
    if model and model == target:
        return "mtp"
    return next((found for part, found in METHOD_BY_NAME if part in model.lower()), "draft_model")


def _is_import_path(model: str) -> bool:
    parts = model.split(".")
    return len(parts) > 1 and all(part.isidentifier() for part in parts)
