"""A start that is given up while supervisord has not answered: it must not reach it after the stop that follows."""

from __future__ import annotations

import asyncio
import socketserver
import tempfile
import threading
from pathlib import Path
from xmlrpc.server import SimpleXMLRPCDispatcher, SimpleXMLRPCRequestHandler

from middleware.mux.programs import Programs
from tests.middleware.serving import PATIENCE


class Handler(SimpleXMLRPCRequestHandler):
    disable_nagle_algorithm = False  # of TCP, and this is none

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


class Slow(socketserver.UnixStreamServer, SimpleXMLRPCDispatcher):
    """It answers a start when it is let."""

    def __init__(self, path: str) -> None:
        SimpleXMLRPCDispatcher.__init__(self)
        socketserver.UnixStreamServer.__init__(self, path, Handler)
        self.asked, self.released = threading.Event(), threading.Event()
        self.register_function(self.start, "supervisor.startProcess")

    def start(self, *_: object) -> bool:
        self.asked.set()
        return self.released.wait(PATIENCE)


def test_a_start_that_is_cancelled_ends_when_supervisord_has_answered_it() -> None:
    async def story(folder: Path, server: Slow) -> None:
        starting = asyncio.create_task(Programs(folder).start("sglang-a"))
        assert await asyncio.to_thread(server.asked.wait, PATIENCE)
        starting.cancel()
        await asyncio.wait({starting}, timeout=0.2)
        assert not starting.done()
        server.released.set()
        await asyncio.wait({starting}, timeout=PATIENCE)
        assert starting.cancelled()

    with tempfile.TemporaryDirectory(prefix="slow") as name, Slow(f"{name}/supervisor.sock") as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            asyncio.run(story(Path(name), server))
        finally:
            server.released.set()
            server.shutdown()
            serving.join()
