"""Which model, under which name, from where, and how long its context is."""

from __future__ import annotations

import json
from typing import Any

from shims.flags.draft import Draft
from shims.flags.record import Flag, Outcome, convert, dropped, ours, refuse, refused, same, vocabulary
from shims.values.numerics import QUANTIZATION


def model(draft: Draft, value: str) -> Outcome:
    if draft.command.entry == "serve" and draft.command.positional is not None:
        return dropped(f"the positional model {draft.command.positional} wins, as in vLLM")
    return Outcome("rename", f"--model-path {value}")


def served_model_name(draft: Draft, value: list[str]) -> Outcome:
    if odd := [name for name in value if not name or name.startswith("-")]:
        return refused(f"{odd[0]!r} is not a name: it is empty or begins with a dash")
    draft.served_names = tuple(value)
    note = f"also answers to {', '.join(value[1:])}" if len(value) > 1 else ""
    return Outcome("ours", f"--served-model-name {value[0]}", note)


def max_model_len(draft: Draft, value: int) -> Outcome:
    if value == -1:
        draft.warnings.append(
            "--max-model-len auto: SGLang takes the model's own maximum and does not shrink it to the GPU's memory"
        )
        return dropped("SGLang uses the model's own maximum")
    return draft.emit("--context-length", value)


def seed(draft: Draft, value: int) -> Outcome:
    return draft.emit("--random-seed", value)


def hf_token(draft: Draft, value: str | None) -> Outcome:
    if not value:
        return dropped("the cached login is used by itself")
    draft.secrets["HF_TOKEN"] = value
    return Outcome("convert", "HF_TOKEN", "given to SGLang as a variable, so that `ps` does not show it")


def hf_overrides(draft: Draft, value: Any) -> Outcome:
    return draft.emit("--json-model-override-args", json.dumps(value, ensure_ascii=False, separators=(",", ":")))


FLAGS: tuple[Flag, ...] = (
    ours("--model", model),
    ours("--served-model-name", served_model_name, "SGLang knows one name; the middleware answers to the others"),
    convert("--max-model-len", max_model_len),
    convert("--seed", seed, "vLLM's default is 0, SGLang's is random"),
    convert("--quantization", vocabulary("--quantization", QUANTIZATION, "quantization method")),
    convert("--hf-token", hf_token, secret=True),
    convert("--hf-overrides", hf_overrides),
    refuse("--logits-processors", "they are classes of vLLM's, which SGLang cannot load; leave it out"),
    same("--dtype"),
    same("--revision"),
    same("--trust-remote-code"),
    same("--download-dir"),
)
