"""haproxy's admin socket: one command, one answer. `lameduck` and `certificates` talk to haproxy through it,
and `operate`. Standard library only."""

import socket
from pathlib import Path

LONGEST_ANSWER_BYTES = 1 << 16


def ask(path: Path, command: bytes, patience_seconds: float) -> str:
    """The whole answer. Raises OSError when nobody listens or answers in time."""
    answer = b""
    with socket.socket(socket.AF_UNIX) as haproxy:
        haproxy.settimeout(patience_seconds)
        haproxy.connect(str(path))
        haproxy.sendall(command)
        haproxy.shutdown(socket.SHUT_WR)
        while len(answer) < LONGEST_ANSWER_BYTES and (more := haproxy.recv(4096)):
            answer += more
    return answer.decode("utf-8", "replace")
