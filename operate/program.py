"""Which words of a command start vLLM: `vllm serve`, the module of its API server, either behind a shell or a wrapper.
`container` asks for a container's command, `check` for the words after `--`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from operate import shell
from operate.found import Unreadable
from operate.shell import Command

API_SERVER = "vllm.entrypoints.openai.api_server"
MAIN = ("vllm", "vllm.entrypoints.cli.main")
SHELLS = ("sh", "bash", "dash", "ash", "zsh", "ksh")
PYTHON = re.compile(r"python(3(\.\d+)?)?")
ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
# A program that runs the rest of its words, and those of its options that take a value.
WRAPPERS: Mapping[str, tuple[str, ...]] = {
    "exec": ("-a",),
    "env": ("-u", "-C", "-S"),
    "nohup": (),
    "command": (),
    "time": (),
    "nice": ("-n",),
    "sudo": ("-u", "-g"),
    "stdbuf": (),
    "tini": ("-p", "-e"),
    "dumb-init": (),
    "numactl": ("-N", "-m", "-C", "-c", "-l"),
}
DEEPEST = 5


@dataclass(frozen=True, slots=True)
class Run:
    commands: tuple[Command, ...]
    notes: tuple[str, ...] = ()
    by_shell: bool = False
    is_unread: bool = False  # a script that may run vLLM where nobody can see it


def find(argv: Sequence[str], env: Mapping[str, str], depth: int = 0) -> Run:
    """Every start of vLLM in a command. Raises Unreadable for a script that no shell would take either."""
    plain, added = unwrapped(argv)
    env = {**env, **added}
    if not plain or depth > DEEPEST:
        return Run(())
    if words(plain) is not None:
        return Run((Command(plain, env),))
    if _name(plain[0]) in SHELLS:
        inline = _script(plain)
        if inline is None:
            return Run((), by_shell=True, is_unread=True)
        script = shell.read(inline[0], env, inline[1:])
        runs = [find(command.argv, command.env, depth + 1) for command in script.commands]
        commands = tuple(command for run in runs for command in run.commands)
        notes = (*script.notes, *(note for run in runs for note in run.notes))
        unread = "vllm" in inline[0] or any(run.is_unread for run in runs)
        return Run(commands, notes if commands else (), by_shell=True, is_unread=unread)
    return Run((), is_unread=plain[0].endswith(".sh"))


def words(argv: Sequence[str]) -> tuple[str, ...] | None:
    """What `vllm` itself is given, from its subcommand on; None for a command that starts no server of vLLM's."""
    if not argv:
        return None
    name, rest = _name(argv[0]), tuple(argv[1:])
    if name == "vllm":
        return rest if rest[:1] == ("serve",) else None
    if PYTHON.fullmatch(name):
        while rest and rest[0].startswith("-") and rest[0] not in ("-m", "-c"):
            rest = rest[2:] if rest[0] in ("-X", "-W") else rest[1:]
        if rest[:1] == ("-m",) and len(rest) > 1:
            if rest[1] == API_SERVER:
                return ("api-server", *rest[2:])
            return rest[2:] if rest[1] in MAIN and rest[2:3] == ("serve",) else None
        return words(rest) if rest and _name(rest[0]) == "vllm" else None
    return None


def unwrapped(argv: Sequence[str]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Without `exec`, `env NAME=value`, `nohup` and their like, and the variables that stood before the program."""
    rest, env = tuple(argv), {}
    while rest:
        if match := ASSIGNMENT.fullmatch(rest[0]):
            env[match[1]] = match[2]
            rest = rest[1:]
            continue
        options = WRAPPERS.get(_name(rest[0]))
        if options is None:
            break
        rest = rest[1:]
        while rest and rest[0].startswith("-"):
            rest = rest[2:] if rest[0] in options else rest[1:]
    return rest, env


def _script(argv: Sequence[str]) -> tuple[str, ...] | None:
    """Of `bash -euo pipefail -c SCRIPT NAME ARG...`: the script, and what it is given; None where it is a file."""
    rest, inline = list(argv[1:]), False
    while rest and rest[0][:1] in ("-", "+") and len(rest[0]) > 1:
        option = rest.pop(0)
        inline = inline or (not option.startswith("--") and "c" in option)
        if not option.startswith("--") and option.endswith(("o", "O")) and rest:
            rest.pop(0)
    if inline and not rest:
        raise Unreadable("its shell has -c and no script after it")
    return tuple(rest) if inline else None


def _name(word: str) -> str:
    return PurePosixPath(word).name
