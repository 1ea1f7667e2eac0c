"""The client's connection as the byte path needs it: uvicorn's, with what ASGI has no word for. A body is known to be
whole, who leaves is told of by a callback, and a piece of an answer is written without a coroutine.
`middleware.__main__` gives uvicorn (0.54) the protocol; `middleware.proxy` finds the client in the scope.
"""

from collections.abc import Callable, MutableMapping
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

EXTENSION = "vllm-to-sglang.client"

Callback = Callable[[], None] | None


class ClientProtocol(HttpToolsProtocol):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
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

    def write(self, data: bytes) -> bool:
        """One chunk, at once; whether it is taking more. What is empty would be the end of the answer."""
        cycle = self._cycle
        if data and not cycle.disconnected:
            cycle.transport.write(b"%x\r\n%b\r\n" % (len(data), data))
        return not cycle.flow.write_paused
