"""What supervisord says of its programs, by XML-RPC over its Unix socket; and orders for them.
`inside` asks, `middleware.mux` and `reload` order; a supervisord that is dead, hangs or is shutting down is a sentence.
"""

from __future__ import annotations

import http.client
import time
import xmlrpc.client
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast
from xml.parsers.expat import ExpatError

from operate.sockets import Transport, why

SECONDS = 2.0
SOCKET = "supervisor.sock"
SHUTDOWN_STATE = 6  # supervisor.xmlrpc.Faults
ALREADY_STARTED = 60
NOT_RUNNING = 70
OVER = ("STOPPED", "EXITED")
ENDED = (*OVER, "FATAL")  # BACKOFF is not: supervisord is about to try again
T = TypeVar("T")
UP = ("RUNNING", "STARTING")  # an engine is STARTING for its first 10 s, whatever it serves


class Silent(Exception):
    """The message says why nothing is known."""


class Denied(Silent):
    """It has answered: it has no such program, or cannot start it."""


class Ending(Silent):
    """It shuts down or starts anew: it tells nothing and obeys nobody any more."""


def programs(folder: Path) -> tuple[int, list[dict[str, Any]]]:
    """supervisord's pid, and each program in the order of its start; or Silent."""

    def ask(supervisor: Any) -> tuple[int, list[dict[str, Any]]]:
        return cast("int", supervisor.getPID()), [_program(one) for one in supervisor.getAllProcessInfo()]

    return _asked(folder, ask)


def start(folder: Path, name: str) -> None:
    """It is told to start it, and does not wait; harmless of one that runs."""
    _asked(folder, lambda supervisor: _but(ALREADY_STARTED, lambda: supervisor.startProcess(name, False)))


def stop(folder: Path, name: str) -> None:
    """It is told to stop it, and does not wait; harmless of one that does not run."""
    _asked(folder, lambda supervisor: _but(NOT_RUNNING, lambda: supervisor.stopProcess(name, False)))


def reread(folder: Path) -> list[str]:
    """What its file has now and it has not is added; the groups that its file has no more."""

    def take_up(supervisor: Any) -> list[str]:
        [[added, _changed, removed]] = supervisor.reloadConfig()
        for name in added:
            supervisor.addProcessGroup(name)
        return list(removed)

    return _asked(folder, take_up)


def remove(folder: Path, name: str) -> None:
    """Of a program that does not run; Silent of one that does."""
    _asked(folder, lambda supervisor: supervisor.removeProcessGroup(name))


def _but(harmless: int, order: Callable[[], object]) -> None:
    try:
        order()
    except xmlrpc.client.Fault as fault:
        if fault.faultCode != harmless:
            raise


def _asked(folder: Path, question: Callable[[Any], T]) -> T:
    transport = Transport(folder / SOCKET, SECONDS)
    server = xmlrpc.client.ServerProxy("http://localhost", transport=transport)
    try:
        return question(server.supervisor)
    except xmlrpc.client.Fault as fault:
        if fault.faultCode == SHUTDOWN_STATE:
            raise Ending("supervisord is shutting down") from fault
        raise Denied(f"supervisord refuses: {fault.faultString}") from fault
    except (
        OSError,
        http.client.HTTPException,
        xmlrpc.client.Error,
        ExpatError,
        ValueError,
        KeyError,
        OverflowError,
    ) as error:
        raise Silent(why(error, "supervisord", SECONDS)) from error
    finally:
        transport.close()


def _program(told: dict[str, Any]) -> dict[str, Any]:
    is_up = told["statename"] in UP
    said = told["description"]
    if told["statename"] in OVER and told["start"] and told["stop"]:
        said = time.strftime("since %Y-%m-%d %H:%M:%S", time.localtime(told["stop"]))  # and not "Nov 22 03:27 AM"
    return {
        "name": told["name"],
        "state": told["statename"],
        "pid": told["pid"] or None,
        "since": told["start"] if is_up else None,
        "said": told["spawnerr"] or ("" if is_up else said),
    }
