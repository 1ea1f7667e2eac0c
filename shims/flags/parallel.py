"""How many GPUs, and which way the model is spread over them."""

from __future__ import annotations

from shims.flags.draft import Draft
from shims.flags.record import Flag, Outcome, convert, dropped, refused, rename


def executor(draft: Draft, value: str) -> Outcome:
    if value in ("mp", "uni"):
        return dropped("SGLang starts its own worker processes")
    if value == "ray":
        return refused(
            "SGLang does not run inside a vLLM Ray cluster; for several nodes start one replica a node,"
            " for one node leave the flag out"
        )
    return refused(f"'{value}' is a vLLM class; leave it out: SGLang starts its own worker processes")


FLAGS: tuple[Flag, ...] = (
    rename("--tensor-parallel-size", "--tp-size"),
    rename("--pipeline-parallel-size", "--pp-size"),
    convert("--distributed-executor-backend", executor),
)
