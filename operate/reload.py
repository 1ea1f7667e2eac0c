"""`vllm-to-sglang reload`: the models' files are read again, while the server runs and no request is dropped.
`__main__` calls `run`; exit code 0: it was done, 1: it was not, and why, 2: wrong use.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import render_config
from operate import control, inside, run_dir, supervisord
from operate.act import DONE, NOT_DONE, failed
from operate.replaced import Replaced
from operate.screen import plain
from operate.status import WRONG, add_run_dir
from shims import caches, checks
from shims.exceptions import ShimError
from shims.models import reload

DESCRIPTION = """\
Reads the files of --shim-models again. Models that are new are there at once, those that are gone or changed leave when
their running requests have ended; the others go on. The front door keeps its settings: a restart changes those."""
SECONDS = 30.0
# For what is gone and idle to stop; what still serves is removed at the next reload.
REMOVAL_SECONDS = 10.0
NOT_KNOWN = "whether it read the models again is not known; a restart of it reads the new ones: reload again"
DOOR = "The front door would be another now: that takes a restart."


def add_parser(subcommands: argparse._SubParsersAction[Any]) -> None:
    parser = subcommands.add_parser("reload", help="read the models' files again", description=DESCRIPTION)
    add_run_dir(parser)
    parser.set_defaults(run=run, usage_error=parser.error)


def run(options: argparse.Namespace, words: Sequence[str]) -> int:
    if words:
        options.usage_error("nothing is expected after --")
    try:
        folder = run_dir.find(options.run_dir, os.environ)
    except run_dir.NotFound as error:
        return failed(str(error), WRONG)
    if why := run_dir.trouble(folder):
        return failed(why, NOT_DONE)
    replaced = Replaced(folder)
    reread = False
    try:
        pid, running = supervisord.programs(folder)
        chosen = reload.plan(folder, _environment(pid), [program["name"] for program in running])
        checks.check_engines(chosen)
        for engine in chosen.engines:
            caches.make(engine.env, chosen.facts.places)
        replaced.keep([*render_config.render(chosen), *(file.name for file in chosen.files)])
        same_door = render_config.write_models(chosen, folder)
        # First: what is new to it starts nothing by itself, and none of its programs becomes another one, so that the
        # switcher finds whatever it asks for, by the old file and by the new one.
        reread = True  # also by one that does not answer in time
        removed = supervisord.reread(folder)
        answer = control.ask(folder, "POST", "/reload", SECONDS)
    except (ShimError, supervisord.Silent, OSError) as error:
        return _put_back(f"{error}: nothing was read again", replaced, folder if reread else None)
    except control.Silent as silence:
        why = inside.silence(folder, str(silence))
        if not silence.sent:
            return _put_back(f"{why}: nothing was read again", replaced, folder)
        # It may be reading them at this moment.
        replaced.forget()
        return failed(f"{why}: {NOT_KNOWN}", NOT_DONE)
    if not answer.get("done"):
        return _put_back(str(answer.get("said")), replaced, folder)
    replaced.forget()
    left = _remove(folder, removed)
    print(plain(str(answer.get("said"))))
    if left:
        print(f"Still serving, and removed at the next reload: {', '.join(left)}.")
    if not same_door:
        print(DOOR)
    return DONE


def _put_back(why: str, replaced: Replaced, folder: Path | None) -> int:
    """`folder`: its supervisord has taken up the new files, and judges the models' deaths by them."""
    wrong = replaced.put_back()
    if folder is not None:
        with suppress(supervisord.Silent):
            _remove(folder, supervisord.reread(folder), 0.0)
    return failed(f"{why.rstrip('.')}; {wrong}" if wrong else why, NOT_DONE)


def _environment(pid: int) -> dict[str, str]:
    """What the server was started with, which is not what `kubectl exec` gives."""
    pairs = Path(f"/proc/{pid}/environ").read_bytes().decode("utf-8", "surrogateescape").split("\0")
    return {name: value for name, equals, value in (pair.partition("=") for pair in pairs) if equals}


def _remove(folder: Path, names: Sequence[str], seconds: float = REMOVAL_SECONDS) -> list[str]:
    """Those that still run."""
    deadline = time.monotonic() + seconds
    left = list(names)
    while True:
        for name in list(left):
            with suppress(supervisord.Silent):
                supervisord.remove(folder, name)
                left.remove(name)
        if not left or time.monotonic() >= deadline:
            return left
        time.sleep(0.2)
