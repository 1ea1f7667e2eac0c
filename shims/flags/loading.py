"""How the weights come from disk, the hub or a store into memory. `values.loading` has the formats and loader keys."""

from __future__ import annotations

from typing import Any

from shims.flags.draft import Draft
from shims.flags.record import Flag, Outcome, already, convert, drop, dropped, invalid, refused, same
from shims.values.loading import DEFAULT_FORMATS, HARMLESS_KEYS, LOAD_FORMAT, LOADER_KEYS
from shims.values.shapes import compact, is_count

OWN_LIST = ["original/**/*"]  # vLLM's default, which SGLang leaves out too


def load_format(draft: Draft, value: str) -> Outcome:
    name = value.lower()  # as vLLM
    if name in DEFAULT_FORMATS:
        return already("SGLang's default")
    if name not in LOAD_FORMAT:
        names = ", ".join(sorted((*DEFAULT_FORMATS, *LOAD_FORMAT)))
        return refused(f"SGLang has no load format for '{value}'; those with a counterpart: {names}")
    return draft.emit("--load-format", LOAD_FORMAT[name])


def loader_extra_config(draft: Draft, value: Any) -> Outcome:
    """SGLang's loaders raise for a key that they do not know."""
    if not isinstance(value, dict):
        return invalid('give a JSON object such as {"enable_multithread_load": true}')
    name = str(draft.given("--load-format") or "auto").lower()
    taken = LOADER_KEYS.get("auto" if name in DEFAULT_FORMATS else name, ())
    settings = {key: setting for key, setting in value.items() if key not in HARMLESS_KEYS}
    if taken is not None and (odd := [key for key in settings if key not in taken]):
        have = f"it takes {', '.join(taken)}" if taken else "it takes none"
        return refused(f"SGLang's loader for --load-format {name} has no '{odd[0]}'; {have}")
    note = f"without {', '.join(key for key in value if key in HARMLESS_KEYS)}" if len(settings) < len(value) else ""
    if not settings:
        return dropped(f"{note}, which only counts") if note else already("nothing is set")
    return draft.emit("--model-loader-extra-config", compact(settings), note=note)


def load_strategy(draft: Draft, value: str) -> Outcome:
    if value == "prefetch":
        return draft.emit("--weight-loader-prefetch-checkpoints")
    if value == "eager":
        return draft.emit("--weight-loader-disable-mmap")
    if value == "lazy":
        return already("SGLang maps the files by default")
    return refused(f"SGLang has no way of loading for '{value}'; those with a counterpart: eager, lazy, prefetch")


def prefetch_threads(draft: Draft, value: int) -> Outcome:
    if not is_count(value):
        return invalid(f"{value} is not a number of threads: give 1 or more")
    if draft.given("--safetensors-load-strategy") != "prefetch":
        return dropped("without --safetensors-load-strategy prefetch SGLang prefetches nothing")
    return draft.emit("--weight-loader-prefetch-num-threads", value)


def ignore_patterns(draft: Draft, value: list[str]) -> Outcome:
    if value == OWN_LIST:
        return already("SGLang leaves the same files out")
    draft.warnings.append(
        f"--ignore-patterns {' '.join(value)}: SGLang has its own list, so it may download more files"
    )
    return dropped("SGLang has its own list of what it does not download")


FLAGS: tuple[Flag, ...] = (
    convert("--load-format", load_format, to="--load-format"),
    same("--download-dir"),
    convert("--model-loader-extra-config", loader_extra_config, to="--model-loader-extra-config"),
    convert(
        "--safetensors-load-strategy",
        load_strategy,
        to="--weight-loader-prefetch-checkpoints or --weight-loader-disable-mmap",
    ),
    convert("--safetensors-prefetch-num-threads", prefetch_threads, to="--weight-loader-prefetch-num-threads"),
    drop("--safetensors-prefetch-block-size", "SGLang prefetches in blocks of its own size (speed only)"),
    convert(
        "--ignore-patterns",
        ignore_patterns,
        to="ignored with a warning: SGLang has its own list of what it does not download",
    ),
    drop("--use-tqdm-on-load", "SGLang always shows its progress"),
    drop("--pt-load-map-location", "SGLang reads .pt files into the CPU's memory first"),
)
