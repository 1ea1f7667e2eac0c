"""`vllm-to-sglang check FILE... | -- serve MODEL ...`: what each flag and variable of each engine becomes, before a
rollout. `__main__` calls `run`; its exit code is for CI.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from operate import program, source
from operate.found import Found, Unreadable
from operate.verdict import Verdict, judge
from shims import report

STARTS, STRICT, REFUSED = 0, 1, 2
DESCRIPTION = """\
Says what SGLang would be started with in the place of vLLM, or why it would not start. FILE is the production stack's
Helm values, a VLLMRuntime, or a Kubernetes manifest (YAML or JSON; - is standard input: `helm template ... |
vllm-to-sglang check -`). Exit code 0: every engine's command line is accepted; 2: one is refused or cannot be read;
1: --strict found something."""


def add_parser(subcommands: argparse._SubParsersAction[Any]) -> None:
    parser = subcommands.add_parser(
        "check",
        help="before a rollout: what each flag and variable becomes",
        description=DESCRIPTION,
        usage="vllm-to-sglang check [--json] [--strict] [FILE ...] [-- [NAME=VALUE ...] vllm serve MODEL ...]",
    )
    parser.add_argument("files", nargs="*", metavar="FILE")
    parser.add_argument("--json", action="store_true", help="one JSON document in place of the reports")
    parser.add_argument("--strict", action="store_true", help="exit 1 for ignored flags, warnings and notes, too")
    parser.set_defaults(run=run, usage_error=parser.error)


def run(options: argparse.Namespace, command: Sequence[str]) -> int:
    if not options.files and not command:
        options.usage_error("give a file, or a command line after --")
    verdicts: list[Verdict] = []
    unreadable: list[tuple[str, str]] = []
    absent: list[tuple[str, str]] = []
    for name in dict.fromkeys(options.files):
        try:
            reading = source.engines(name)
        except Unreadable as error:
            unreadable.append((name, str(error)))
            continue
        verdicts += map(judge, reading.engines)
        if reading.absent:
            absent.append((name, reading.absent))
    verdicts += map(judge, _of_command(command))
    code = _code(verdicts, unreadable, strict=options.strict)
    summary = _summary(verdicts, unreadable)
    if options.json:
        document = {
            "engines": [verdict.to_json() for verdict in verdicts],
            "unreadable": [{"source": name, "error": why} for name, why in unreadable],
            "summary": summary,
        }
        print(json.dumps(document, indent=2, ensure_ascii=False))
        return code
    for verdict in verdicts:
        print("\n".join(_text(verdict)), end="\n\n")
    for name, why in absent:
        print(f"{name}: no engine: {why}")
    sys.stdout.flush()
    for name, why in unreadable:
        print(f"vllm-to-sglang: error: {name}: {why}", file=sys.stderr)
    print(summary + (", with ignored flags, warnings or notes (--strict)" if code == STRICT else ""))
    return code


def _of_command(command: Sequence[str]) -> list[Found]:
    """The words after `--`, as a shell would have them: variables first, then `serve`, `vllm serve`, or a program."""
    if not command:
        return []
    label = "command line"
    plain, env = program.unwrapped(command)
    try:
        runs = program.find(command, {}).commands
    except Unreadable as error:
        return [Found(label, problem=str(error))]
    if runs:
        return [Found(label, one.argv, one.env, local=True) for one in runs]
    return [Found(label, plain, env, local=True)]


def _text(verdict: Verdict) -> Iterator[str]:
    found = verdict.found
    yield f"== {found.source}"
    if verdict.plan is not None:
        yield report.text(verdict.plan).rstrip("\n")
    elif verdict.refusals:
        yield "REFUSED: the container would end with exit code 2"
        yield from (f"  {name}: {why}" for name, why in verdict.refusals)
    else:
        yield f"REFUSED: {verdict.error}"
    yield from (f"NOTE: {note}" for note in verdict.notes)


def _code(verdicts: Sequence[Verdict], unreadable: Sequence[object], *, strict: bool) -> int:
    if unreadable or any(verdict.plan is None for verdict in verdicts):
        return REFUSED
    return STRICT if strict and any(verdict.has_remarks for verdict in verdicts) else STARTS


def _summary(verdicts: Sequence[Verdict], unreadable: Sequence[object]) -> str:
    starting = sum(verdict.plan is not None for verdict in verdicts)
    parts = [f"{starting} would start", f"{len(verdicts) - starting} refused"]
    if unreadable:
        parts.append(f"{_count(len(unreadable), 'file')} not checked")
    return f"{_count(len(verdicts), 'engine')}: {', '.join(parts)}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
