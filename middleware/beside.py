"""A second server in the loop of the first, for what is beside the API: the control socket, and the page for people.
`middleware.control` and `middleware.page` serve with it, each on a socket of its own.
"""

import socket
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


async def serve_beside(sock: socket.socket, app: ASGIApp) -> None:
    """Until it is cancelled; then the socket is closed, and what was connected."""
    server = _Beside(uvicorn.Config(app, http=_Quiet, ws="none", lifespan="off", log_config=None))
    try:
        await server.serve(sockets=[sock])
    finally:
        for listener in getattr(server, "servers", ()):
            listener.close()
        for connection in list(server.server_state.connections):
            if connection.transport is not None:
                connection.transport.close()  # an open one would hold up the end of the event loop
        sock.close()


class _Quiet(HttpToolsProtocol):
    """Without an access log. uvicorn's own setting for that (0.54) is the whole process's, the first server's too."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.access_log = False


class _Beside(uvicorn.Server):
    """A second server in the loop of the first, to which signals belong, and the word that a process has started."""

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's (0.54), without its lines in the log."""
        self.config.load()
        self.lifespan = self.config.lifespan_class(self.config)
        await self.startup(sockets)
        await self.main_loop()
