"""Which model, under which name, from where and in which number format, and how long its context is.
`overrides`, `quantization`, `tokenizer`, `pooling` and `sampling` have the rest of vLLM's model configuration.
"""

from __future__ import annotations

from typing import Any

from shims.flags.draft import Draft
from shims.flags.record import (
    Converter,
    Flag,
    Outcome,
    already,
    convert,
    drop,
    dropped,
    invalid,
    ours,
    refuse,
    refused,
    same,
    vocabulary,
)
from shims.redact import cleaned
from shims.values.model import CONFIG_FORMAT, MODEL_IMPL
from shims.values.shapes import is_count

SEEDS = 2**32  # what NumPy takes, in both servers


def model(draft: Draft, value: str) -> Outcome:
    if draft.command.entry == "serve" and draft.command.positional is not None:
        return dropped(f"the positional model {draft.command.positional} wins, as in vLLM")
    if why := no_name(value):
        return invalid(why)
    return Outcome("rename", f"--model-path {cleaned(value)}")


def no_name(model: str) -> str:
    """Why nothing can be loaded by this name; empty if something can."""
    if not model.strip():
        return "the model is empty: is a variable unset?"
    return f"{model!r} is not a model: it begins with a dash" if model.startswith("-") else ""


def served_model_name(draft: Draft, value: list[str]) -> Outcome:
    if not value:
        return invalid("give a name")
    if odd := [name for name in value if not name or name.startswith("-")]:
        return invalid(f"{odd[0]!r} is not a name: it is empty or begins with a dash")
    draft.served_names = tuple(value)
    note = f"also answers to {', '.join(value[1:])}" if len(value) > 1 else ""
    return Outcome("ours", f"--served-model-name {value[0]}", note)


def max_model_len(draft: Draft, value: int) -> Outcome:
    if value == -1:
        draft.warnings.append(
            "--max-model-len auto: SGLang takes the model's own maximum and does not shrink it to the GPU's memory"
        )
        return dropped("SGLang uses the model's own maximum")
    if value < 1:
        return invalid(f"{value} is not a length: give 1 or more, or auto")
    return draft.emit("--context-length", value)


def seed(draft: Draft, value: int) -> Outcome:
    if not 0 <= value < SEEDS:
        return invalid(f"{value} is not a seed: give a number from 0 to {SEEDS - 1}")
    return draft.emit("--random-seed", value)


def hf_token(draft: Draft, value: str | None) -> Outcome:
    if not value:
        return already("the cached login is used by itself")
    draft.secrets["HF_TOKEN"] = value
    return Outcome("convert", "HF_TOKEN", "given to SGLang as a variable, so that `ps` does not show it")


def same_revision(what: str) -> Converter:
    """SGLang has one revision for all files of the model."""

    def look(draft: Draft, value: str) -> Outcome:
        revision = draft.given("--revision") or "main"
        if value == revision:
            return already("SGLang takes all files from --revision")
        return refused(
            f"SGLang takes the {what} from --revision too, which is {revision}: give the same, or leave it out"
        )

    return look


def hf_config_path(draft: Draft, value: str) -> Outcome:
    if value in (draft.command.positional, draft.given("--model")):
        return already("it is the model's own folder")
    return refused("SGLang reads config.json beside the weights only: put it there, or give --hf-overrides")


def model_class_overrides(draft: Draft, value: Any) -> Outcome:
    if value == {}:
        return already("nothing is overridden")
    return refused("it names classes of vLLM's, which SGLang cannot load; leave it out")


def complete(draft: Draft) -> None:
    """What `auto` means where nobody said it."""
    declared = draft.facts.model_config.get("dtype", draft.facts.model_config.get("torch_dtype"))
    if declared == "float32" and draft.engine_args.get("--dtype", ("auto",)) == ("auto",):
        draft.warnings.append(
            "the checkpoint is float32: SGLang's --dtype auto computes in float16, vLLM's in bfloat16 where the GPU "
            "has it; give --dtype bfloat16 for the same"
        )


def disable_sliding_window(draft: Draft, value: bool) -> Outcome:
    """It caps the context to the window, which --max-model-len can do."""
    if not value:
        return already("SGLang keeps the model's sliding window")
    window = draft.facts.model_config.get("sliding_window")
    length = draft.given("--max-model-len")
    if is_count(window) and is_count(length) and length <= window:
        return already(f"--max-model-len is within the window of {window}: it changes nothing")
    return refused("SGLang cannot turn the window off; give --max-model-len within the window instead")


FLAGS: tuple[Flag, ...] = (
    ours("--model", model, to="--model-path"),
    ours("--served-model-name", served_model_name, "SGLang knows one name; the middleware answers to the others"),
    convert("--max-model-len", max_model_len, to="--context-length"),
    convert("--seed", seed, "vLLM's default is 0, SGLang's is random", to="--random-seed"),
    same("--dtype"),
    same("--revision"),
    convert(
        "--code-revision",
        same_revision("code"),
        to="accepted where it is --revision, else refused: SGLang has one revision for all files",
    ),
    same("--trust-remote-code"),
    convert("--hf-token", hf_token, to="HF_TOKEN", secret=True),
    convert("--hf-config-path", hf_config_path, to="accepted where it is the model's folder, else refused"),
    convert(
        "--config-format",
        vocabulary("--model-config-parser", CONFIG_FORMAT, "configuration format"),
        to="--model-config-parser",
    ),
    convert("--model-impl", vocabulary("--model-impl", MODEL_IMPL, "model implementation"), to="--model-impl"),
    convert("--model-class-overrides", model_class_overrides, to="refused, unless empty: they are classes of vLLM's"),
    convert(
        "--disable-sliding-window",
        disable_sliding_window,
        to="accepted where --max-model-len is within the window, else refused",
    ),
    drop("--disable-cascade-attn", "a choice between vLLM's own kernels (speed only)"),
    refuse("--override-attention-dtype", "SGLang computes attention in the model's own type; leave it out"),
)
