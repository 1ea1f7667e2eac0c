"""Large requests, one after the other, from a thread beside the streams: sending them lets go of the interpreter."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass

PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class Sent:
    began: float
    ended: float
    status: int


def send_in_turn(port: int, request: bytes, count: int, every: float, sent: list[Sent]) -> None:
    """One in the middle of each stretch of `every` seconds, over one connection."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as sock:
        for _ in range(count):
            time.sleep(every)
            began = time.perf_counter()
            try:
                sock.sendall(request)
                status = read_answer(sock)
            except OSError:
                status = 0
            sent.append(Sent(began, time.perf_counter(), status))
            if status == 0:
                return


def read_answer(sock: socket.socket) -> int:
    """The status of an answer with a length; it is read whole."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(65536)
        if not piece:
            return 0
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    length = next((int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:")), 0)
    left = length - len(body)
    while left > 0:
        piece = sock.recv(65536)
        if not piece:
            return 0
        left -= len(piece)
    return int(lines[0].split()[1])
