"""supervisorctl, from anywhere and without options: finds the run directory, says what a restart of the engine means to
the probes, and becomes supervisor's own. `shims/bin/supervisorctl` starts it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from operate import run_dir, status
from operate.inside import ENGINE, FRONT

# Of supervisorctl 4.3.0; with one of these the caller says himself where to look.
OWN_WAY = ("-c", "--configuration", "-s", "--serverurl", "-h", "--help")
WITH_VALUE = ("-u", "--username", "-p", "--password", "-r", "--history-file")
HAPROXY = FRONT[1]
# What ends no program of ours.
HARMLESS = frozenset({"0", "CONT", "18", "WINCH", "28", "CHLD", "17", "URG", "23"})
WITHOUT_HAPROXY = (
    "For as long as it drains its connections, and until it listens again, probes and clients are refused."
)
ALL = ("all", "*:*", "*")
# The warning is worth no longer wait.
SECONDS = 2.0
# The production stack's chart: livenessProbe periodSeconds 10, failureThreshold 3.
KUBELET = "with the chart's liveness probe (every 10 s, 3 failures) the kubelet restarts the container after about 30 s"


def main(argv: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if argv is None else argv)
    options, order = _split(words)
    if not any(_is_option(word, OWN_WAY) for word in options):
        try:
            folder = run_dir.find(None, os.environ)
        except run_dir.NotFound as error:
            return _failed(str(error))
        conf = folder / run_dir.CONF
        if why := run_dir.trouble(folder):
            return _failed(why)
        if not conf.is_file():
            return _failed(
                f"there is no {conf}: nothing was started from there; {run_dir.VARIABLE} names another folder"
            )
        if is_dangerous(order):
            print(warning(order, status.learn(folder, SECONDS)), file=sys.stderr, flush=True)
        words = ["-c", str(conf), *words]
    return _become(words)


def _become(words: Sequence[str]) -> NoReturn:
    os.execv(sys.executable, [sys.executable, "-I", "-m", "supervisor.supervisorctl", *words])  # noqa: S606


def is_dangerous(order: Sequence[str]) -> bool:
    """Without an order it is interactive: what is typed there is not seen here."""
    return not order or ends(order, ENGINE) or ends(order, HAPROXY)


def ends(order: Sequence[str], program: str) -> bool:
    """Whether the program is ended by it, or may be."""
    action, targets = order[:1], order[1:]
    if action == ["signal"]:
        number = targets[0].upper().removeprefix("SIG") if targets else ""
        targets = targets[1:] if number not in HARMLESS else []
    elif action in (["update"], ["remove"]):
        targets = targets or (["all"] if action == ["update"] else [])
    elif action not in (["stop"], ["restart"]):
        return action in (["shutdown"], ["reload"])
    return any(name in ALL or name.partition(":")[0] == program for name in targets)


def warning(order: Sequence[str], document: dict[str, Any]) -> str:
    took = document["engine_start_seconds"]
    last = f" (its last start took {took:.0f} s)" if took is not None else ""
    if not order:
        return (
            f"supervisorctl: what ends {ENGINE} ends the requests in it, and /health is 503 until it is ready again"
            f"{last}; {KUBELET}. What ends {HAPROXY}: {WITHOUT_HAPROXY[0].lower()}{WITHOUT_HAPROXY[1:]}"
        )
    action = " ".join(order[:2]) if order[0] == "signal" else order[0]
    if action == "shutdown":
        return f"supervisorctl: {action} ends {ENGINE} and the requests in it. The container ends, with exit code 0."
    if action == "remove":
        gone = " and ".join(name for name in (ENGINE, HAPROXY) if ends(order, name))
        return f"supervisorctl: after remove {gone} is started by nobody until supervisord reads its configuration."
    if not ends(order, ENGINE):
        return f"supervisorctl: {action} ends {HAPROXY}. {WITHOUT_HAPROXY}"
    whether = ", if its configuration has changed," if action == "update" else ""
    said = f"supervisorctl: {action} ends {ENGINE}{whether} and the requests in it. "
    until = "until it is started and ready again" if action == "stop" else f"until it is ready again{last}"
    said += f"/health is 503 {until}; {KUBELET}."
    return f"{said} {HAPROXY} ends too. {WITHOUT_HAPROXY}" if ends(order, HAPROXY) else said


def _split(words: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """The options, which stand in front, and the order behind them."""
    at = 0
    while at < len(words) and words[at].startswith("-"):
        at += 2 if words[at] in WITH_VALUE else 1
    return words[:at], words[at:]


def _is_option(word: str, names: Sequence[str]) -> bool:
    """`-cPATH` and `--configuration=PATH` too."""
    return any(word == name or word.startswith(f"{name}=" if name.startswith("--") else name) for name in names)


def _failed(why: str) -> int:
    print(f"supervisorctl: error: {why}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
