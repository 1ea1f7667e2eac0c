"""Whether a command of somebody else's file starts vLLM, and with which words: such a member is translated, any other
runs as it is. `llama_swap` asks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from operate import program
from operate.found import Unreadable

CONTAINERS = ("docker", "podman")
IMAGE = re.compile(r"(?:[\w.:-]+/)*[\w.-]*vllm[\w.-]*(?::[\w.-]+)?(?:@sha256:\w+)?")
# Docker's options without a value; any other takes the next word.
SWITCHES = ("--rm", "-it", "-ti", "-i", "-t", "-d", "--detach", "--interactive", "--tty", "--init", "--privileged")
SUBCOMMANDS = ("vllm", "serve")


@dataclass(frozen=True, slots=True)
class OfVllm:
    words: tuple[str, ...]  # after `vllm serve`
    env: Mapping[str, str]
    notes: tuple[str, ...] = ()


def of_vllm(argv: Sequence[str], env: Mapping[str, str]) -> OfVllm | None:
    plain, added = program.unwrapped(argv)
    if plain[1:2] == ("run",) and PurePosixPath(plain[0]).name in CONTAINERS:
        return _of_container(plain)
    try:
        found = program.find(argv, env).commands
    except Unreadable:
        return None
    if len(found) != 1:
        return None
    words = program.words(found[0].argv)
    return None if words is None else OfVllm(words[1:], {**found[0].env, **added})


def _of_container(argv: Sequence[str]) -> OfVllm | None:
    """`docker run [options] vllm/vllm-openai:tag MODEL ...`: the image's entrypoint is `vllm serve`."""
    env: dict[str, str] = {}
    left: list[str] = []
    rest = list(argv[2:])
    while rest and rest[0].startswith("-"):
        option, equals, value = rest.pop(0).partition("=")
        if option in SWITCHES:
            continue
        if not equals and rest:
            value = rest.pop(0)
        name, equals, text = value.partition("=")
        if option in ("-e", "--env"):
            env |= {name: text} if equals else {}
        elif option not in left:
            left.append(option)
    if not rest or not IMAGE.fullmatch(rest[0]):
        return None
    words = rest[1:]
    while words and words[0] in SUBCOMMANDS:
        words.pop(0)
    note = f"options of {PurePosixPath(argv[0]).name} that are not taken over: {', '.join(left)}"
    return OfVllm(tuple(words), env, (note,) if left else ())
