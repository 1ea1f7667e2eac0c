"""HTTP over the Unix sockets of a run directory, with a short patience: what hangs is told, not waited for.
`supervisord` speaks XML-RPC over it, `control` JSON.
"""

from __future__ import annotations

import http.client
import socket
import xmlrpc.client
from pathlib import Path


class Connection(http.client.HTTPConnection):
    def __init__(self, path: Path, seconds: float) -> None:
        super().__init__("localhost", timeout=seconds)
        self._path = path
        self._seconds = seconds

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self._seconds)
        self.sock.connect(str(self._path))


class Transport(xmlrpc.client.Transport):
    def __init__(self, path: Path, seconds: float) -> None:
        super().__init__()
        self._path = path
        self._seconds = seconds

    def make_connection(self, host: xmlrpc.client._HostType) -> http.client.HTTPConnection:
        self.close()  # of the question before
        connection = Connection(self._path, self._seconds)
        self._connection = host, connection  # what close() closes
        return connection


def why(error: Exception, who: str, seconds: float) -> str:
    """Why nothing was learned from `who`, as the rest of a sentence."""
    if isinstance(error, FileNotFoundError | ConnectionRefusedError):
        return f"{who} does not run"
    if isinstance(error, TimeoutError):
        return f"{who} does not answer within {seconds:g} s: it hangs, or the machine does"
    if isinstance(error, PermissionError):
        return f"{who} may be asked by its own user alone"
    if isinstance(error, OSError):
        return f"{who} cannot be asked: {error.strerror or type(error).__name__}"
    return f"{who} gave no answer that can be read ({type(error).__name__})"
