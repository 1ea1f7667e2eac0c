"""The client's connection as the byte path needs it: uvicorn's, with what ASGI has no word for. A body is known to be
whole, who leaves is told of by a callback, and a piece of an answer is written without a coroutine.
`middleware.__main__` gives uvicorn (0.54) the protocol; `middleware.proxy` finds the client in the scope.
"""

import logging
from collections.abc import Callable, MutableMapping
from contextlib import AbstractContextManager
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from middleware.access_log import AccessLog

EXTENSION = "vllm-to-sglang.client"

Callback = Callable[[], None] | None


class ClientProtocol(HttpToolsProtocol):
    # In the place of uvicorn's.
    log: ClassVar[AccessLog | None] = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.log is not None:
            self.access_log = self.access_log and self.access_logger.isEnabledFor(logging.INFO)
            self.access_logger = self.log  # type: ignore[assignment]
        self.gone: Callback = None
        self.drained: Callback = None

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self.scope["extensions"] = {EXTENSION: Client(self, self.cycle)}  # type: ignore[dict-item]

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        gone, self.gone = self.gone, None
        if gone is not None:
            gone()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.drained is not None:
            self.drained()


class _Corked:
    """In the place of uvicorn's transport within the block: what is written goes out at its end, in one piece."""

    __slots__ = ("_cycle", "_pieces", "_transport")

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self._transport = cycle.transport
        self._pieces: list[bytes] = []

    def __enter__(self) -> None:
        self._cycle.transport = self  # type: ignore[assignment]

    def __exit__(self, *failure: object) -> None:
        self._flush()
        self._cycle.transport = self._transport

    def write(self, data: bytes) -> None:
        self._pieces.append(data)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._pieces:
            self._transport.write(b"".join(self._pieces))
            self._pieces.clear()


class Client:
    """client = Client.of(scope)       # None where the request is one of ours
    client.when_gone(exchange.abort)
    more = client.write(data)          # of an answer in chunks, between its head and its end
    """

    __slots__ = ("_cycle", "_protocol")

    def __init__(self, protocol: ClientProtocol, cycle: RequestResponseCycle) -> None:
        self._protocol = protocol
        self._cycle = cycle

    @staticmethod
    def of(scope: MutableMapping[str, Any]) -> "Client | None":
        extensions = scope.get("extensions")
        client: Client | None = extensions.get(EXTENSION) if extensions else None
        return client

    @property
    def sent_all(self) -> bool:
        """The whole body is here: ASGI's `receive` gives it at once."""
        return not self._cycle.more_body

    @property
    def takes_chunks(self) -> bool:
        """An answer has begun whose length nobody has told."""
        cycle = self._cycle
        return cycle.chunked_encoding is True and not cycle.response_complete

    def when_gone(self, call: Callback) -> None:
        if call is not None and self._cycle.disconnected:
            call()
        else:
            self._protocol.gone = call

    def when_drained(self, call: Callback) -> None:
        self._protocol.drained = call

    def in_one_write(self) -> AbstractContextManager[None]:
        """A whole answer, sent by ASGI's `send` inside the block."""
        return _Corked(self._cycle)

    def write(self, data: bytes) -> bool:
        """One chunk, at once; whether it is taking more. What is empty would be the end of the answer."""
        cycle = self._cycle
        if data and not cycle.disconnected:
            cycle.transport.write(b"%x\r\n%b\r\n" % (len(data), data))
        return not cycle.flow.write_paused
