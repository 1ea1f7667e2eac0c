"""`vllm-to-sglang abort-all` and `vllm-to-sglang flush`: the two orders to the engine, through the control socket.
`__main__` calls `run`; exit code 0: it was done, 1: it was not, or that is not known, and why; 2: wrong use.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from operate import control, inside, run_dir, screen
from operate.status import WRONG, add_run_dir

DONE, NOT_DONE = 0, 1
# More than the middleware waits for SGLang, and for what was aborted to end.
SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Order:
    name: str
    help: str
    description: str


ORDERS = (
    Order(
        "abort-all",
        "end every request that runs or waits",
        "Aborts every request that runs or waits in the engine, and says how many there were. Clients get what the "
        'engine has made so far, with finish_reason "abort". New requests are served.',
    ),
    Order(
        "flush",
        "empty the prefix cache",
        "Empties the engine's prefix cache. SGLang does that only while no request runs or waits.",
    ),
)


def add_parser(subcommands: argparse._SubParsersAction[Any]) -> None:
    for order in ORDERS:
        parser = subcommands.add_parser(order.name, help=order.help, description=order.description)
        add_run_dir(parser)
        parser.set_defaults(run=run, usage_error=parser.error, order=order.name)


def run(options: argparse.Namespace, words: Sequence[str]) -> int:
    if words:
        options.usage_error("nothing is expected after --")
    try:
        folder = run_dir.find(options.run_dir, os.environ)
    except run_dir.NotFound as error:
        return failed(str(error), WRONG)
    if why := run_dir.trouble(folder):
        return failed(why, NOT_DONE)
    try:
        answer = control.ask(folder, "POST", f"/{options.order}", SECONDS)
    except control.Silent as silence:
        end = "it is not known whether it was done, and it may still be" if silence.sent else "nothing was done"
        why = inside.silence(folder, str(silence))
        return failed(f"{why}: {end}; `vllm-to-sglang status` says how the server is", NOT_DONE)
    if not answer.get("done"):
        return failed(str(answer.get("said")), NOT_DONE)
    print(screen.plain(str(answer.get("said"))))
    return DONE


def failed(why: str, code: int) -> int:
    print(f"vllm-to-sglang: error: {screen.plain(why)}", file=sys.stderr)
    return code
