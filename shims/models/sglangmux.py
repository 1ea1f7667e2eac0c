"""sglangmux 0.1.1: its launch scripts as FILEs, and its options beside `--shim-models`, so that its users can move.
`sources` reads a script here, `command` the options.

A script is run as it is, `bash script`. Its name and port are found as sglangmux finds them, by pattern over the text
with one level of variables; what else it gives SGLang is read so that its API fits (tools, adapters, tokens).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from operate import shell
from operate.found import Unreadable
from shims.catalog import catalogs
from shims.cli import Given
from shims.exceptions import CommandLineError
from shims.models.entry import Asked, Entry
from shims.values.whole import whole

VALUE = r"""("[^"\n]*"|'[^'\n]*'|[^\s"'\\;|&]+)"""
NAME = (r"^\s*(?:export\s+)?MODEL_NAME=", r"(?:^|\s)--model(?:-path)?(?:\s+|=)")
PORT = (r"^\s*(?:export\s+)?PORT=", r"(?:^|\s)--port(?:\s+|=)")
VARIABLE = re.compile(r"\$(?:\{(\w+)(?::?-([^}]*))?\}|(\w+))")
SAVER, BACKUP = "--enable-memory-saver", "--enable-weights-cpu-backup"
LAUNCHER = "sglang.launch_server"
# What the house says itself of every member: where it listens, and how it is called.
OURS = ("--model-path", "--model", "--host", "--port", "--served-model-name")


@dataclass(frozen=True, slots=True)
class Option:
    """One of sglangmux's: `limit` is ours for each model, `flag` a flag of vLLM's, `variable` one of our variables."""

    name: str
    limit: str = ""
    flag: str = ""
    variable: str = ""


OPTIONS: tuple[Option, ...] = (
    Option("--upstream-timeout-secs", limit="upstream"),
    Option("--model-ready-timeout-secs", limit="ready"),
    Option("--model-switch-timeout-secs", limit="switch"),
    Option("--log-dir", variable="VLLM_SHIM_LOG_DIR"),
    Option("--listen-port", flag="--port"),
)


def read(path: str, text: str, env: Mapping[str, str]) -> Asked:
    """Raises CommandLineError for what is no launch script: a name and a port must be in it."""
    name, name_line = _found(NAME, text, env)
    given, port_line = _found(PORT, text, env)
    port = whole(given) or 0
    if not name or not 0 < port < 65536:
        lacking = "MODEL_NAME=... or --model" if not name else f"PORT=... or --port (it is {given!r:.40})"
        raise CommandLineError(
            f"{path}: it is no launch script of sglangmux, which names its {lacking}; a models file ends in"
            " .yaml, .yml or .json"
        )
    words, notes = _given_to_sglang(text, env)
    if BACKUP in words and SAVER not in words:
        notes = (
            *notes,
            f"{BACKUP} without {SAVER}: SGLang releases nothing, so it is stopped when others need its place",
        )
    entry = Entry(
        file=path,
        line=1,
        script=str(Path(path).absolute()),
        words=words,
        name=name,
        port=port,
        # Its owner has asked for what a sleep needs; sglangmux puts every model to sleep.
        tier="stopped" if SAVER not in words else "cpu" if BACKUP in words else "disk",
        lines={"name": name_line, "port": port_line},
        notes=("its flags are its own and not translated; it runs as `bash " + path + "`", *notes),
    )
    return Asked((entry,), files=(path,))


def _found(patterns: tuple[str, ...], text: str, env: Mapping[str, str]) -> tuple[str, int]:
    for pattern in patterns:
        if match := re.search(pattern + VALUE, text, re.MULTILINE):
            line = text.count("\n", 0, match.start(1)) + 1
            return _resolved(_bare(match[1]), text, env), line
    return "", 1


def _resolved(value: str, text: str, env: Mapping[str, str]) -> str:
    def one(match: re.Match[str]) -> str:
        name = match[1] or match[3]
        if set_here := re.search(rf"^\s*(?:export\s+)?{name}=" + VALUE, text, re.MULTILINE):
            default = VARIABLE.fullmatch(_bare(set_here[1]))
            return (default[2] or "") if default else _bare(set_here[1])
        return env.get(name) or match[2] or ""

    return VARIABLE.sub(one, value)


def _bare(value: str) -> str:
    return value[1:-1] if value[:1] in ("'", '"') else value


def _given_to_sglang(text: str, env: Mapping[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The flags behind `sglang.launch_server`, without those that say where and under which name it listens."""
    try:
        commands = shell.read(text, env).commands
    except Unreadable as error:
        return (), (f"what it gives SGLang cannot be read: {error}",)
    for command in commands:
        if LAUNCHER in command.argv:
            return tuple(_without_ours(command.argv[command.argv.index(LAUNCHER) + 1 :])), ()
    return (), (f"it starts no `python -m {LAUNCHER}` that can be read: its tool calls are taken to have no parser",)


def _without_ours(words: Sequence[str]) -> list[str]:
    kept: list[str] = []
    skipping = False
    for word in words:
        if word.startswith("--"):
            skipping = word.partition("=")[0] in OURS
        if not skipping:
            kept.append(word)
    return kept


def flags(entry: Entry) -> tuple[Given, ...]:
    """Those of SGLang's that this SGLang has, by their own names: `--tool-call-parser` is vLLM's name too, with other
    words behind it."""
    found: list[Given] = []
    for word in entry.words:
        flag, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
        if flag in catalogs()[1].by_spelling:
            texts: tuple[str, ...] = (value,) if equals else ()
            found.append(Given(flag, "sglang", flag, texts, texts))
        elif not flag and found:
            texts = (*found[-1].texts, value)
            found[-1] = replace(found[-1], value=texts, texts=texts)
    return tuple(found)
