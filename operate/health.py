"""The image's HEALTHCHECK: whether haproxy would say 200 on /health, asked on its own socket, so that neither the port
nor TLS nor a client certificate matters. Docker and podman run it by its path; standard library only, 30 ms.
"""

from __future__ import annotations

import csv
import json
import os
import socket
import sys
from pathlib import Path

if __package__ in (None, ""):  # run by its path, with an interpreter that looks for nothing else
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from operate import run_dir
from supervision import haproxy_socket

SERVES, DOES_NOT = 0, 1
SECONDS = 2.0
CHECKED, DUCK = ("probe", "middleware"), ("lame_duck", "flag")


class Silent(Exception):
    """The message is one sentence."""


def main() -> int:
    try:
        answer = health(run_dir.find(None, os.environ))
    except (run_dir.NotFound, Silent) as why:
        print(why)
        return DOES_NOT
    print(answer or "requests are served")
    return DOES_NOT if answer else SERVES


def health(folder: Path) -> str:
    """Why requests are not served, or nothing. Raises Silent."""
    has_front_door = "haproxy" in _programs(folder)
    path = folder / ("haproxy.sock" if has_front_door else "supervisor.sock")
    try:
        if not has_front_door:
            # A rank of several nodes: it lives as long as its supervisord does.
            with socket.socket(socket.AF_UNIX) as one:
                one.settimeout(SECONDS)
                one.connect(str(path))
            return ""
        answer = haproxy_socket.ask(path, b"show stat\n", SECONDS)
    except OSError as error:
        raise Silent(f"{path.name} does not answer: {error}") from error
    return _of_haproxy(answer)


def _of_haproxy(answer: str) -> str:
    rows = csv.DictReader(answer.splitlines())
    servers = {(row.get("# pxname"), row.get("svname")): row for row in rows}
    checked, duck = servers.get(CHECKED), servers.get(DUCK)
    if checked is None or duck is None:
        raise Silent("haproxy knows nothing of the middleware")
    if duck["status"].startswith(("UP", "no check")):
        return "the server is about to stop"
    # Until its first check haproxy takes it for up.
    if not checked["status"].startswith("UP") or "L7OK" not in checked["check_status"]:
        return "the engine is not serving: it is loading, or gone"
    return ""


def _programs(folder: Path) -> list[str]:
    try:
        told = json.loads((folder / "plan.json").read_bytes())
    except (OSError, ValueError) as error:
        raise Silent(f"nothing was started from {folder}: {error}") from error
    return list(told.get("programs", ()))


if __name__ == "__main__":
    sys.exit(main())
