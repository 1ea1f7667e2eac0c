"""What reinforcement learning and other frameworks ask of the server: sleep, weight updates, classes of their own."""

from __future__ import annotations

from shims.flags.draft import Draft
from shims.flags.record import Flag, Outcome, already, convert, drop, refuse, refused


def enable_sleep_mode(draft: Draft, value: bool) -> Outcome:
    """Level 1 keeps the weights in the host's memory; without the second flag SGLang's would be gone."""
    if not value:
        return already("off by default in SGLang")
    return draft.emit_all(("--enable-memory-saver",), ("--enable-weights-cpu-backup",))


def worker_cls(draft: Draft, value: str) -> Outcome:
    if value in ("auto", ""):
        return already("SGLang has its own workers")
    return refused(CLASSES)


CLASSES = "it names a class for vLLM's workers, which SGLang does not have; leave it out"
SLEEP = "SGLang's memory saver decides it (memory only)"
FLAGS: tuple[Flag, ...] = (
    convert("--enable-sleep-mode", enable_sleep_mode, to="--enable-memory-saver --enable-weights-cpu-backup"),
    drop("--sleep-mode-backend", SLEEP),
    drop("--sleep-mode-offload-cudagraph", SLEEP),
    drop("--enable-cumem-allocator", SLEEP),
    drop("--enable-nccl-comm-suspend", SLEEP),
    refuse("--sleep-preserve-parameter-names", "SGLang keeps all weights or none while it sleeps; leave it out"),
    refuse(
        "--weight-transfer-config",
        'SGLang receives weights by another protocol: give {"weight_dir": ...} to /update_weights, or leave it out',
    ),
    convert("--worker-cls", worker_cls, to="auto is accepted, a class refused: SGLang has its own workers"),
    refuse("--worker-extension-cls", CLASSES),
    refuse("--additional-config", "it configures a hardware plugin of vLLM's, which SGLang cannot load; leave it out"),
    drop("--engram-config", "it says where vLLM keeps a model's Engram tables (memory only)"),
)
