"""Expert parallelism: how the experts of a mixture lie on the GPUs, and how tokens travel to them. Besides the sizes
all of it is speed; what SGLang 0.5.23 would assert at the start is left out with a line.
"""

from __future__ import annotations

from typing import Any

from shims.flags import world
from shims.flags.draft import Draft
from shims.flags.record import Flag, Outcome, already, convert, drop, dropped, invalid, refuse
from shims.values.moe import ALL2ALL, FLASHINFER_RUNNERS, NO_ALL2ALL

EPLB = {
    "num_redundant_experts": "--ep-num-redundant-experts",
    "step_interval": "--eplb-rebalance-num-iterations",
    "window_size": "--expert-distribution-recorder-buffer-size",
}
EPLB_SPEED = (
    "communicator",
    "enable_migration_batching",
    "log_balancedness",
    "log_balancedness_interval",
    "policy",
    "use_async",
)


def enable_expert_parallel(draft: Draft, value: bool) -> Outcome:
    if not value:
        return already("off by default in SGLang")
    size = world.of(draft)
    if size.known and not size.experts:
        return invalid("the model has no experts, as its config.json says; vLLM refuses it too")
    if size.tp_size == 1:
        return already("all experts are on the one GPU")
    return draft.emit("--ep-size", size.tp_size)


def spread(draft: Draft) -> bool:
    """Whether experts lie on several GPUs."""
    return bool(draft.given("--enable-expert-parallel")) and world.of(draft).tp_size > 1


def all2all_backend(draft: Draft, value: str) -> Outcome:
    """vLLM 0.33.0 uses it for experts on several data parallel ranks only."""
    if value in NO_ALL2ALL:
        return already("SGLang gathers and scatters by default")
    size = world.of(draft)
    if not spread(draft) or max(size.data, size.prefill_context) == 1:
        return dropped("without -ep on several data parallel ranks it has no effect, as in vLLM")
    if value not in ALL2ALL:
        return dropped(f"SGLang has no counterpart of {value} (speed only)")
    backend, mode = ALL2ALL[value]
    if backend == "flashinfer" and draft.given("--moe-backend") not in FLASHINFER_RUNNERS:
        return dropped(f"SGLang wants --moe-backend {', '.join(FLASHINFER_RUNNERS)} beside it (speed only)")
    if value == "moonep":
        draft.warnings.append("--all2all-backend moonep becomes SGLang's mooncake, which needs its own set-up")
    modes = (("--deepep-mode", mode),) if mode else ()
    return draft.emit_all(("--moe-a2a-backend", backend), *modes)


def enable_eplb(draft: Draft, value: bool) -> Outcome:
    if not value:
        return already("off by default in SGLang")
    if not draft.given("--enable-expert-parallel"):
        return invalid("it needs --enable-expert-parallel, as in vLLM")
    if not spread(draft):
        return dropped("all experts are on the one GPU")
    return draft.emit("--enable-eplb", action="same")


def eplb_config(draft: Draft, value: Any) -> Outcome:
    if not isinstance(value, dict):
        return invalid('give a JSON object such as {"num_redundant_experts": 32}')
    if unknown := sorted(set(value) - {*EPLB, *EPLB_SPEED}):
        return invalid(f"vLLM has no {', '.join(unknown)} in it; it has {', '.join((*EPLB, *EPLB_SPEED))}")
    if "--enable-eplb" not in draft.engine_args:
        return dropped("without --enable-eplb it has no effect")
    for key in EPLB:
        number, least = value.get(key, 1), 0 if key == "num_redundant_experts" else 1
        if not isinstance(number, int) or isinstance(number, bool) or number < least:
            return invalid(f"{key} is {number!r}: give a number, {least} or more")
    left = [key for key in value if key in EPLB_SPEED]
    note = f"left out, speed only: {', '.join(left)}" if left else ""
    flags = [(EPLB[key], value[key]) for key in EPLB if key in value]
    return draft.emit_all(*flags, note=note) if flags else dropped(note or "it asks for nothing")


def one_eplb_number(key: str) -> Any:
    """vLLM 0.11.0's flag for one key of --eplb-config."""

    def converter(draft: Draft, value: int) -> Outcome:
        return eplb_config(draft, {key: value})

    return converter


def enable_dbo(draft: Draft, value: bool) -> Outcome:
    """SGLang 0.5.23 raises for it without attention DP or an all-to-all backend, and with DeepEP v2."""
    if not value:
        return already("off by default in SGLang")
    backend = draft.engine_args.get("--moe-a2a-backend", ("none",))[0]
    if backend == "none" and world.of(draft).attention_groups == 1:
        return dropped("without experts on several data parallel ranks there is nothing to overlap (speed only)")
    if backend == "deepep_v2":
        return dropped("SGLang does not overlap batches with DeepEP v2 (speed only)")
    return draft.emit("--enable-two-batch-overlap")


SPEED = "it tunes vLLM's own exchange of tokens (speed only)"
ELASTIC = "SGLang grows and shrinks by another protocol; give the size that is needed"
FLAGS: tuple[Flag, ...] = (
    convert("--enable-expert-parallel", enable_expert_parallel, to="--ep-size T*N"),
    convert("--all2all-backend", all2all_backend, to="--moe-a2a-backend --deepep-mode"),
    Flag("--enable-eplb", "same", to="--enable-eplb", convert=enable_eplb),
    convert("--eplb-config", eplb_config, to=" ".join(EPLB.values())),
    Flag("--num-redundant-experts", "rename", to="--ep-num-redundant-experts",
         convert=one_eplb_number("num_redundant_experts")),
    Flag("--eplb-window-size", "rename", to="--expert-distribution-recorder-buffer-size",
         convert=one_eplb_number("window_size")),
    Flag("--eplb-step-interval", "rename", to="--eplb-rebalance-num-iterations",
         convert=one_eplb_number("step_interval")),
    drop("--eplb-log-balancedness", "SGLang has --expert-balancedness-report-mode (log lines only)"),
    drop("--expert-placement-strategy", "where an expert lies changes speed only"),
    convert("--enable-dbo", enable_dbo, to="--enable-two-batch-overlap"),
    drop("--dbo-decode-token-threshold", SPEED),
    drop("--dbo-prefill-token-threshold", SPEED),
    drop("--ubatch-size", SPEED),
    drop("--dp-sync-interval", SPEED),
    drop("--disable-nccl-for-dp-synchronization", SPEED),
    drop("--enable-ep-weight-filter", "SGLang reads what a rank needs (start-up speed only)"),
    refuse("--enable-elastic-ep", ELASTIC),
    refuse("--elastic-ep-max-dp-size", ELASTIC),
    refuse("--enable-fault-tolerance", "a failed rank ends SGLang, and supervisord starts it again; leave it out"),
    drop("--fault-tolerance-config", "without --enable-fault-tolerance it has no effect"),
)  # fmt: skip
