"""`vllm-to-sglang prewarm -- vllm serve MODEL ...`: a whole start, one request and a stop in order, so that the kernels
that a first start compiles lie on the volume when the server's own start comes. `__main__` calls `run`.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from operate import control, first_request, kernel_caches, program
from operate.found import Unreadable
from shims import cli, facts, models, plan
from shims.exceptions import ShimError
from shims.plan import Plan

DONE, FAILED, WRONG = 0, 1, 2
SECONDS = 3600  # AITER's first compilation has taken more than ten minutes, and a download may stand before it
ASK_SECONDS, EVERY_SECONDS = 3.0, 0.5
SPARE_SECONDS = 10  # beyond what the plan says a stop takes
# A death is this command's failure, and not to be mended; and nobody sends requests whom a lame duck would serve.
SETTINGS = {"VLLM_SHIM_ENGINE_RESTART": "exit", "VLLM_SHIM_LAME_DUCK_SECONDS": "0"}
DESCRIPTION = """\
For an init container: starts what the words after -- would start, with this container's environment, waits until it is
ready, sends one small request, stops it, and says what the kernel caches hold. Mount a volume and name it in
VLLM_CACHE_ROOT, here and for the server. Exit code 0: done; 1: it did not get ready; 2: wrong use, or refused."""


class Failed(Exception):
    """The message is one sentence."""


class Stopped(BaseException):
    """By a signal, whose number it is."""


def add_parser(subcommands: argparse._SubParsersAction[Any]) -> None:
    parser = subcommands.add_parser(
        "prewarm",
        help="compile the kernels before the server starts",
        description=DESCRIPTION,
        usage="vllm-to-sglang prewarm [--timeout SECONDS] -- vllm serve MODEL ...",
    )
    parser.add_argument("--timeout", type=float, default=SECONDS, metavar="SECONDS", help=f"in all ({SECONDS})")
    parser.set_defaults(run=run, usage_error=parser.error)


def run(options: argparse.Namespace, words: Sequence[str]) -> int:
    try:
        command, added = _command(words)
    except Unreadable as error:
        options.usage_error(str(error))
    env = {**os.environ, **added, **{name: value for name, value in SETTINGS.items() if not os.environ.get(name)}}
    try:
        chosen = _plan(command, env)
    except ShimError as error:
        print(f"vllm-to-sglang: error: {error}", file=sys.stderr)
        return WRONG
    engine_env = {**env, **chosen.engines[0].env}
    before = {folder: kernel_caches.contents(folder) for folder in kernel_caches.folders(engine_env)}
    began = time.monotonic()
    failure = ""
    try:
        with _signals(), _server(command, env, chosen.settings.stop_seconds + SPARE_SECONDS) as server:
            _ready(server, chosen, began, options.timeout)
            _say(began, "ready; one request")
            left = began + options.timeout - time.monotonic()
            first_request.send(chosen.ports.engine, left)
            _say(began, "answered; stopping")
        _in_order(server)
    except (Failed, first_request.Unanswered) as error:
        failure = str(error)
    except Stopped as stopped:
        print("prewarm: stopped by a signal", file=sys.stderr)
        return 128 + int(stopped.args[0])
    _tell(before)
    if failure:
        print(f"vllm-to-sglang: error: prewarm: {failure}", file=sys.stderr)
        return FAILED
    _say(began, "done")
    return DONE


def _command(words: Sequence[str]) -> tuple[tuple[str, ...], Mapping[str, str]]:
    """From the subcommand on, and the variables before it; of bare arguments, what the image's ENTRYPOINT makes of
    them. Raises Unreadable."""
    if not words:
        raise Unreadable("give the server's command line after --")
    found = program.find(words, {})
    if found.by_shell or len(found.commands) > 1:
        raise Unreadable("no shell here: give the words of vllm itself after --")
    if not found.commands:
        return (tuple(words) if words[0] in cli.SUBCOMMANDS else ("serve", *words)), {}
    [one] = found.commands
    return program.words(one.argv) or (), one.env


def _plan(command: Sequence[str], env: Mapping[str, str]) -> Plan:
    """As the server will make it. Raises ShimError."""
    if models.are_named(command, env):
        raise ShimError(
            f"one model at a time: give each model's own command line after --, without {models.FLAG} and"
            f" {models.VARIABLE}, and run it once for each; they share the caches"
        )
    parsed = cli.from_words(command)
    chosen = plan.make(parsed, env, facts.gather(parsed, env))
    if not chosen.front_door or "--nnodes" in chosen.engines[0].argv:
        raise ShimError("this is one rank of several nodes: only all of them together can start")
    return chosen


@contextlib.contextmanager
def _server(command: Sequence[str], env: Mapping[str, str], stop_seconds: float) -> Iterator[subprocess.Popen[bytes]]:
    """Its output is ours. It has ended when this is left."""
    server = subprocess.Popen([sys.executable, "-I", "-X", "utf8", "-m", "shims", *command], env=env)
    try:
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError):
            server.terminate()
        try:
            server.wait(stop_seconds)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _ready(server: subprocess.Popen[bytes], chosen: Plan, began: float, timeout: float) -> None:
    """Raises Failed."""
    phase = ""
    while server.poll() is None:
        with contextlib.suppress(control.Silent):
            engine = control.ask(Path(chosen.facts.run_dir), "GET", "/status", ASK_SECONDS)["middleware"]["engine"]
            if engine["admits"]:
                return
            if engine["phase"] and engine["phase"] != phase:
                phase = engine["phase"]
                _say(began, phase)
        if time.monotonic() > began + timeout:
            last = f"; its last phase was {phase}" if phase else ""
            raise Failed(f"it was not ready within {timeout:g} s (--timeout){last}")
        time.sleep(EVERY_SECONDS)
    raise Failed(f"it ended with exit code {server.returncode} before it was ready; its last words stand above")


def _in_order(server: subprocess.Popen[bytes]) -> None:
    """Raises Failed."""
    if server.returncode:
        raise Failed(f"the server did not stop in order: exit code {server.returncode}")


@contextlib.contextmanager
def _signals() -> Iterator[None]:
    """As the first process of a container there is no default for SIGTERM."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Stopped(number)

    numbers = (signal.SIGTERM, signal.SIGINT)
    old = [signal.signal(number, stop) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, old, strict=True):
            signal.signal(number, handler)


def _say(began: float, what: str) -> None:
    """One write, even under PYTHONUNBUFFERED: the server writes to the same output."""
    sys.stdout.write(f"prewarm: {time.monotonic() - began:6.1f} s: {what}\n")
    sys.stdout.flush()


def _tell(before: Mapping[str, kernel_caches.Contents]) -> None:
    after = {folder: kernel_caches.contents(folder) for folder in before}
    held = [folder for folder in before if after[folder].files or before[folder].files]
    print("prewarm: the kernel caches, before and after:" if held else "prewarm: no kernel was compiled to a cache")
    for folder in held:
        print(f"  {folder}: {before[folder]} -> {after[folder]}")
    if not any(map(kernel_caches.on_a_volume, before)):
        print("prewarm: WARNING: none of them lies on a volume, and the next container starts without them:"
              " mount one, and name it in VLLM_CACHE_ROOT")  # fmt: skip
    sys.stdout.flush()
