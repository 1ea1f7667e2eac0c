"""Flags that are of the server as a whole, and not of one of its models: what a model's own words say of them.
`member` applies the table; command lines are pasted with their --host and --port, which is no mistake.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from shims.cli import CommandLine, Given
from shims.exceptions import Refused
from shims.flags.draft import Decision
from shims.models.entry import Entry
from shims.redact import shown

DOOR = "one front door serves all models: its --host and --port stand beside --shim-models"
WHOLE = "it is of the whole server: give it beside --shim-models"
NODES = "several models on several nodes: run one model a server, or leave it out"
LEFT = {"--host": DOOR, "--port": DOOR}
REFUSED: Mapping[str, str] = {
    **dict.fromkeys(("--api-key", "--uds", "--root-path", "--shutdown-timeout", "--enable-ssl-refresh"), WHOLE),
    **dict.fromkeys(("--ssl-certfile", "--ssl-keyfile", "--ssl-ca-certs", "--ssl-cert-reqs", "--ssl-ciphers"), WHOLE),
    **dict.fromkeys(("--uvicorn-log-level", "--disable-uvicorn-access-log"), WHOLE),
    "--disable-access-log-for-endpoints": WHOLE,
}
OF_ONE_MODEL = {"--served-model-name": "a name is one model's: give it in the file, with that model"}
SEVERAL_NODES = ("--nnodes", "--node-rank", "--headless", "--data-parallel-size-local")


def own(entry: Entry, command: CommandLine) -> tuple[CommandLine, tuple[Decision, ...]]:
    """Without what the front door decides, and the lines that say so. Raises Refused."""
    refuse([g for g in command.given if g.origin == "vllm"], {**REFUSED, **dict.fromkeys(SEVERAL_NODES, NODES)})
    left = [g for g in command.given if g.origin == "vllm" and g.name in LEFT]
    kept = tuple(g for g in command.given if g not in left)
    lines = tuple(Decision(g.spelled, "flag", shown(g.name, " ".join(g.texts)), "drop", "", LEFT[g.name]) for g in left)
    return replace(command, given=kept), lines


def check(command: CommandLine) -> None:
    """The flags beside --shim-models. Raises Refused."""
    given = [g for g in command.given if g.origin == "vllm"]
    refuse(given, {**OF_ONE_MODEL, **dict.fromkeys(SEVERAL_NODES, NODES)})


def refuse(given: list[Given], reasons: Mapping[str, str]) -> None:
    if refusals := [(g.spelled, reasons[g.name]) for g in given if g.name in reasons]:
        raise Refused(refusals)
