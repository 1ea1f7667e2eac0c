"""An HTTP server on loopback whose answers come from one function: the replay's stand-in and the recorder's proxy.
A streamed answer goes out event by event, as SGLang sends it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.differential.wire import DROPPED, UNSAID, Answer, Request

Answering = Callable[[Request], Answer]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    answering: Answering

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that leaves is none."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one write for a head and its body
    disable_nagle_algorithm = True
    server: _Server

    def _answer(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.server.answering(Request(self.command, self.path, headers, self._body()))
        if answer.status == DROPPED:
            self.close_connection = True
            return
        body = answer.body or b""
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            if name not in UNSAID:
                self.send_header(name, value)
        if answer.headers.get("transfer-encoding") == "chunked":
            self.end_headers()
            for event in body.split(b"\n\n"):
                if event:
                    self.wfile.write(b"%x\r\n%b\n\n\r\n" % (len(event) + 2, event))
                    self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else body)
        self.wfile.flush()

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_OPTIONS = do_PATCH = _answer  # noqa: N815

    def _body(self) -> bytes | None:
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            pieces = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(pieces)
        length = self.headers.get("content-length")
        return self.rfile.read(int(length)) if length else None

    def log_message(self, *args: object) -> None:
        """Quiet."""


@contextlib.contextmanager
def serving(answering: Answering) -> Iterator[int]:
    """The port."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.answering = answering
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
