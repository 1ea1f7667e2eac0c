"""Adapters: those named at the start, and room for those that come by request. SGLang must know rank and target modules
before the first one arrives.
"""

from __future__ import annotations

import json

from shims.flags.draft import Draft
from shims.flags.record import (
    Flag,
    Outcome,
    already,
    convert,
    drop,
    dropped,
    invalid,
    refuse,
    refused,
)
from shims.values.lora_modules import module

DEFAULT_RANK = 16  # vLLM 0.33.0's --max-lora-rank
PER_BATCH = 8  # SGLang 0.5.23's --max-loras-per-batch
DEFAULT_EXTRA_VOCABULARY = 256  # vLLM 0.8 to 0.11
NOT_ENABLED = "without --enable-lora it has no effect, as in vLLM"


def is_enabled(draft: Draft) -> bool:
    return bool(draft.given("--enable-lora") or draft.given("--lora-modules"))


def enable_lora(draft: Draft, value: bool) -> Outcome:
    """SGLang 0.5.23 asserts both --max-lora-rank and --lora-target-modules where no adapter is named at the start."""
    if not value:
        return already("off by default in SGLang")
    outcome = draft.emit("--enable-lora")
    if draft.given("--lora-target-modules") is None:
        draft.add("--lora-target-modules", "all", why="SGLang must know before the first adapter arrives")
    if draft.given("--max-lora-rank") is None:
        draft.add("--max-lora-rank", DEFAULT_RANK, why="vLLM's default")
    return outcome


def lora_modules(draft: Draft, value: list[str | None]) -> Outcome:
    """vLLM 0.33.0 ends its start where --enable-lora is missing: the adapters can be meant in one way only."""
    modules: dict[str, str] = {}
    for item in filter(None, value):
        found = module(item)
        if isinstance(found, str):
            return invalid(found)
        if found["name"] in modules:
            return invalid(f"two adapters have the name '{found['name']}'")
        modules[found["name"]] = found["path"]
    if not modules:
        return already("it names no adapter")
    if draft.given("--enable-lora") is False:
        return invalid("it contradicts --no-enable-lora")
    if draft.given("--enable-lora") is None:
        draft.warnings.append(
            "--lora-modules without --enable-lora, which vLLM does not start with: it is taken as given"
        )
        enable_lora(draft, True)
    for name, path in modules.items():
        if why := draft.facts.unfit_adapters.get(path):
            return refused(f"SGLang cannot load '{name}': {why}")
    draft.ask(adapters=tuple(modules))
    return draft.emit("--lora-paths", *(_path(name, path) for name, path in modules.items()))


def _path(name: str, path: str) -> str:
    """SGLang cuts at the first `=`, and takes spaces off both ends."""
    plain = f"{name}={path}"
    if "=" in name or plain.strip() != plain or plain.startswith("{"):
        return json.dumps({"lora_name": name, "lora_path": path}, ensure_ascii=False)
    return plain


def max_loras(draft: Draft, value: int) -> Outcome:
    if value < 1:
        return invalid(f"{value} is not a number of adapters: give 1 or more")
    if not is_enabled(draft):
        return dropped(NOT_ENABLED)
    return draft.emit("--max-loras-per-batch", value + 1, note="SGLang counts requests without an adapter as one more")


def slots(draft: Draft) -> int:
    """How many adapters a batch of SGLang's holds, its own flags included; 0: it serves none."""
    if "--enable-lora" not in draft.engine_args and "--lora-paths" not in draft.engine_args:
        return 0
    batch = int(draft.engine_value("--max-loras-per-batch") or PER_BATCH)
    return max(1, batch - 1)


def max_lora_rank(draft: Draft, value: int) -> Outcome:
    return draft.emit("--max-lora-rank", value, action="same") if is_enabled(draft) else dropped(NOT_ENABLED)


def max_cpu_loras(draft: Draft, value: int) -> Outcome:
    """SGLang 0.5.23 asserts that it is no less than --max-loras-per-batch, nor than the adapters named at the start."""
    if not is_enabled(draft):
        return dropped(NOT_ENABLED)
    if value <= 0:
        return dropped("vLLM takes it for no number at all")
    loras = draft.given("--max-loras", 1)
    if value < loras:
        return invalid(f"{value} is less than --max-loras {loras}, which vLLM refuses too")
    batch = loras + 1 if draft.given("--max-loras") is not None else PER_BATCH
    loaded = max(value, batch, len([item for item in draft.given("--lora-modules") or () if item]))
    note = "" if loaded == value else "SGLang wants room for a whole batch and for those named at the start"
    return draft.emit("--max-loaded-loras", loaded, note=note)


def lora_target_modules(draft: Draft, value: list[str]) -> Outcome:
    if not is_enabled(draft):
        return dropped(NOT_ENABLED)
    return draft.emit("--lora-target-modules", *dict.fromkeys(value), action="same")


def lora_dtype(draft: Draft, value: str) -> Outcome:
    if value == "auto":
        return already("the model's own, as in SGLang")
    if is_enabled(draft):
        draft.warnings.append(f"--lora-dtype {value}: SGLang keeps adapters in the model's own format")
    return dropped("SGLang keeps adapters in the model's own format")


def enable_moe_shared_loras(draft: Draft, value: bool) -> Outcome:
    if not value:
        return already("SGLang finds it out from the adapter")
    return draft.emit("--experts-shared-outer-loras") if is_enabled(draft) else dropped(NOT_ENABLED)


def only_with_lora(name: str, why: str) -> Flag:
    """A refusal of what vLLM reads for adapters only."""

    def converter(draft: Draft, value: object) -> Outcome:
        if value in (None, False, {}, []):
            return already("it asks for nothing")
        return refused(why) if is_enabled(draft) else dropped(NOT_ENABLED)

    return Flag(name, "refuse", why=why, convert=converter)


def lora_extra_vocab_size(draft: Draft, value: int) -> Outcome:
    if value in (0, DEFAULT_EXTRA_VOCABULARY) or not is_enabled(draft):
        return dropped("SGLang adds no room for tokens of an adapter's own")
    return refused("SGLang serves no adapters that bring tokens of their own; leave it out")


SPEED = "it tunes vLLM's own adapter kernels (speed only)"
PROMPT_ADAPTERS = "SGLang has no prompt adapters, and vLLM itself no longer has them"
FLAGS: tuple[Flag, ...] = (
    convert("--enable-lora", enable_lora, to="--enable-lora"),
    convert("--lora-modules", lora_modules, to="--lora-paths"),
    convert("--max-loras", max_loras, to="--max-loras-per-batch N+1"),
    convert("--max-lora-rank", max_lora_rank, to="--max-lora-rank"),
    Flag("--max-cpu-loras", "rename", to="--max-loaded-loras", convert=max_cpu_loras),
    Flag("--lora-target-modules", "same", to="--lora-target-modules", convert=lora_target_modules),
    convert("--lora-dtype", lora_dtype, "the model's own format"),
    drop("--fully-sharded-loras", SPEED),
    drop("--specialize-active-lora", SPEED),
    drop("--enable-mixed-moe-lora-format", "SGLang finds an adapter's format out by itself"),
    convert("--enable-moe-shared-loras", enable_moe_shared_loras, to="--experts-shared-outer-loras"),
    only_with_lora("--default-mm-loras", "SGLang applies no adapter by itself: name it in the request's model"),
    only_with_lora("--enable-tower-connector-lora", "SGLang adapts the language model only, and would ignore the rest"),
    only_with_lora("--max-lora-cls-labels", "SGLang serves no adapters with a class head"),
    only_with_lora("--enable-lora-bias", "SGLang would ignore the biases of an adapter"),
    only_with_lora("--long-lora-scaling-factors", "SGLang has no long-context adapters, nor has vLLM any more"),
    convert("--lora-extra-vocab-size", lora_extra_vocab_size, "SGLang has none"),
    refuse("--qlora-adapter-name-or-path", "SGLang loads no QLoRA adapter with the model: give --lora-modules"),
    refuse("--prompt-adapters", PROMPT_ADAPTERS),
    refuse("--enable-prompt-adapter", PROMPT_ADAPTERS),
    drop("--max-prompt-adapters", PROMPT_ADAPTERS),
    drop("--max-prompt-adapter-token", PROMPT_ADAPTERS),
)
