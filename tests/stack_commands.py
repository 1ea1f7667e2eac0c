"""The production stack's own engine command lines (tests/fixtures/stack_commands.json), as words after `vllm`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

MODULE = ["python", "-m", "vllm.entrypoints.openai.api_server"]


@dataclass(frozen=True)
class StackCommand:
    source: str
    words: tuple[str, ...]
    env: dict[str, str]
    refused: str | None  # the flag, where it cannot be honoured


def _words(words: list[str]) -> tuple[str, ...]:
    if words[0].endswith("vllm"):
        return tuple(words[1:])
    if words[:3] == MODULE:
        return ("api-server", *words[3:])
    return ("serve", *words)  # the image's ENTRYPOINT comes before bare arguments


COMMANDS = [
    StackCommand(c["source"], _words(c["words"]), c["env"], c["refused"])
    for c in json.loads((Path(__file__).parent / "fixtures/stack_commands.json").read_text())
]
