"""haproxy's admin socket, with answers written beforehand."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Self


class FakeHaproxy:
    """`with FakeHaproxy(path, "first answer", ...) as haproxy:`; `heard` is what it was asked."""

    def __init__(self, path: Path, *answers: str) -> None:
        self.heard: list[str] = []
        self._answers = answers
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._thread.join(10)
        self._socket.close()

    def _serve(self) -> None:
        self._socket.settimeout(5)
        for answer in self._answers:
            client, _ = self._socket.accept()
            with client:
                heard = b""
                while more := client.recv(65536):
                    heard += more
                self.heard.append(heard.decode())
                client.sendall(answer.encode())
