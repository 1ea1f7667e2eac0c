"""CUDA graphs: which batch sizes are captured, and what of vLLM's --compilation-config says so. After `kernels`: where
graphs are off, their sizes ask for nothing.
"""

from __future__ import annotations

import re
from typing import Any

from shims.flags.draft import Draft
from shims.flags.kernels import EAGER, NO_GRAPHS
from shims.flags.record import Flag, Outcome, already, convert, drop, dropped, invalid

MODES = ("NONE", "PIECEWISE", "FULL", "FULL_DECODE_ONLY", "FULL_AND_PIECEWISE")
HUGE = 1 << 16
NO_LIST = "cudagraph_capture_sizes is no list of numbers such as [1, 2, 4]"
SIZES = "vLLM counts tokens, which are requests unless it speculates"


def is_off(draft: Draft) -> bool:
    return draft.engine_args.get("--cuda-graph-backend-decode") == ("disabled",)


def capture_sizes(draft: Draft, value: list[int]) -> Outcome:
    if any(not 1 <= size <= HUGE for size in value):
        return invalid(f"a batch size is 1 or more: {' '.join(map(str, value))}")
    if is_off(draft):
        return dropped(EAGER)
    return draft.emit("--cuda-graph-bs-decode", *sorted(set(value)), note=SIZES)


def max_capture_size(draft: Draft, value: int) -> Outcome:
    if not 0 <= value <= HUGE:
        return invalid(f"{value} is not a batch size")
    if is_off(draft):
        return dropped(EAGER)
    if value == 0:
        return draft.emit_all(*NO_GRAPHS, note="no graphs, as --enforce-eager")
    if "--cuda-graph-bs-decode" in draft.engine_args:
        return already("the sizes are listed one by one")
    return draft.emit("--cuda-graph-max-bs-decode", value, note=SIZES)


def cuda_graph_sizes(draft: Draft, value: list[int]) -> Outcome:
    """vLLM 0.11.0: one number is the largest size, several are the sizes."""
    return max_capture_size(draft, value[0]) if len(value) == 1 else capture_sizes(draft, value)


def compilation_config(draft: Draft, value: Any) -> Outcome:
    """Its other keys are vLLM's torch.compile. A flag of its own beats a key."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = {"level": value}  # `-O 3` of vLLM 0.8
    if not isinstance(value, dict):
        return invalid(f'give a JSON object such as {{"cudagraph_mode": "FULL"}}, not {value!r:.60}')
    outcomes = [
        _mode(draft, value),
        _sizes(draft, value.get("cudagraph_capture_sizes")),
        _largest(draft, value.get("max_cudagraph_capture_size", value.get("max_capture_size"))),
    ]
    found = [outcome for outcome in outcomes if outcome is not None]
    if refusal := next((outcome for outcome in found if outcome.action == "refuse"), None):
        return refusal
    read = {"cudagraph_mode", "use_cudagraph", "cudagraph_capture_sizes", "max_cudagraph_capture_size"}
    left = sorted(str(key) for key in value if key not in read)
    notes = [outcome.note for outcome in found]
    notes += [f"vLLM's torch.compile, speed only: {', '.join(left)}"] if left else []
    target = " ".join(outcome.target for outcome in found if outcome.target)
    note = "; ".join(filter(None, notes)) or "SGLang captures its own graphs (speed only)"
    return Outcome("convert", target, note) if target else dropped(note)


def _mode(draft: Draft, value: dict[str, Any]) -> Outcome | None:
    mode = value.get("cudagraph_mode")
    if mode is None:
        return draft.emit_all(*NO_GRAPHS) if value.get("use_cudagraph") is False else None
    name = mode.upper() if isinstance(mode, str) else MODES[mode] if type(mode) is int and mode in (0, 1, 2) else ""
    if name not in MODES:
        return invalid(f"cudagraph_mode is {mode!r:.60}; vLLM has {', '.join(MODES)}")
    if name == "NONE":
        return draft.emit_all(*NO_GRAPHS)
    if name == "FULL_DECODE_ONLY" and not is_off(draft):
        return draft.emit("--disable-prefill-cuda-graph")
    return already("SGLang captures decode and prefill")


def _sizes(draft: Draft, value: Any) -> Outcome | None:
    if value is None or draft.given("--cudagraph-capture-sizes") is not None:
        return None
    if not isinstance(value, list):
        return invalid(NO_LIST)
    value = [int(size) if isinstance(size, str) and re.fullmatch(r"[0-9]{1,9}", size) else size for size in value]
    if any(type(size) is not int for size in value):  # `-cc.cudagraph_capture_sizes+ 1,2` makes texts
        return invalid(NO_LIST)
    return capture_sizes(draft, value) if value else draft.emit_all(*NO_GRAPHS)


def _largest(draft: Draft, value: Any) -> Outcome | None:
    if value is None or draft.given("--max-cudagraph-capture-size") is not None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        return invalid(f"max_cudagraph_capture_size is {value!r:.60}: give a number")
    return max_capture_size(draft, value)


FLAGS: tuple[Flag, ...] = (
    Flag("--cudagraph-capture-sizes", "rename", to="--cuda-graph-bs-decode", convert=capture_sizes),
    Flag("--max-cudagraph-capture-size", "rename", to="--cuda-graph-max-bs-decode", convert=max_capture_size),
    Flag("--cuda-graph-sizes", "rename", to="--cuda-graph-bs-decode", convert=cuda_graph_sizes),
    convert("--compilation-config", compilation_config, to="--cuda-graph-bs-decode --disable-prefill-cuda-graph"),
    drop("--max-seq-len-to-capture", "SGLang's graphs hold for every length"),
)
