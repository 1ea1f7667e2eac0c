"""How many GPUs, and which way the model is spread over them."""

from __future__ import annotations

from shims.flags.draft import Draft
from shims.flags.record import Converter, Flag, Outcome, convert, dropped, refuse, refused


def executor(draft: Draft, value: str) -> Outcome:
    if value in ("mp", "uni"):
        return dropped("SGLang starts its own worker processes")
    if value == "ray":
        return refused(
            "SGLang does not run inside a vLLM Ray cluster; for several nodes start one replica a node,"
            " for one node leave the flag out"
        )
    return refused(f"'{value}' is a vLLM class; leave it out: SGLang starts its own worker processes")


def size(flag: str) -> Converter:
    def at_least_one(draft: Draft, value: int) -> Outcome:
        return draft.emit(flag, value) if value >= 1 else refused(f"{value} is not a number of GPUs: give 1 or more")

    return at_least_one


FLAGS: tuple[Flag, ...] = (
    Flag("--tensor-parallel-size", "rename", convert=size("--tp-size")),
    Flag("--pipeline-parallel-size", "rename", convert=size("--pp-size")),
    convert("--distributed-executor-backend", executor),
    refuse("--worker-extension-cls", "it names a class for vLLM's workers, which SGLang does not have; leave it out"),
)
