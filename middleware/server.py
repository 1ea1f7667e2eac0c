"""uvicorn's server, which ends its answers when supervision says that the time to finish them is over.
`middleware.__main__` runs it.
"""

import asyncio
import signal
import socket

import uvicorn

# Ignored from before our first line on (supervision/programs.py), as without a handler it would end us.
END_ANSWERS = signal.SIGUSR1
# A request may still come through a connection that haproxy has open.
AGAIN_SECONDS = 0.1


class Server(uvicorn.Server):
    """On END_ANSWERS each request that runs is cancelled, once: streams end with an error event, others with a 503."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ended: set[asyncio.Task[None]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        asyncio.get_running_loop().add_signal_handler(END_ANSWERS, self._end_answers)

    def _end_answers(self) -> None:
        running = self.server_state.tasks
        for task in running - self._ended:
            task.cancel()
        self._ended = set(running)
        asyncio.get_running_loop().call_later(AGAIN_SECONDS, self._end_answers)
