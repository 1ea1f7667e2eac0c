"""A stream of events on its way: bytes in, bytes out, event by event; what has come in half waits for its rest.
Made by `reply` for a stream that is edited; `chat_stream` and the others say what becomes of an event.
"""

import abc
import logging

import msgspec

from middleware.dialect.keys import Json

log = logging.getLogger("middleware.dialect")

END = b"\n\n"
DATA = b"data: "
DONE = b"data: [DONE]"
# More than any event; beyond it the stream goes on as it comes.
LIMIT = 64 * 1024 * 1024
# What an answer of another shape than expected makes of the code that reads it.
MISSHAPEN = (AttributeError, IndexError, KeyError, TypeError, ValueError)

encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder().decode


def line(event: Json) -> bytes:
    return b"data: %b\n\n" % encode(event)


class Events(abc.ABC):
    """events.feed(data) for each read, then events.finish(), or events.cut() if the engine failed in the middle."""

    __slots__ = ("_given_up", "_pending", "_size")

    def __init__(self) -> None:
        self._pending: list[bytes] = []
        self._size = 0
        self._given_up = False

    def feed(self, data: bytes) -> bytes:
        pending = self._pending
        if not pending and not self._given_up and 0 <= data.find(END) == len(data) - len(END):
            return self.edit(data[: -len(END)])  # One event, as nearly always.
        if pending:
            pending.append(data)
            self._size += len(data)
            # Looked for in what is new: an event of megabytes is not searched again with every read.
            if END not in data and not (data[:1] == b"\n" and pending[-2][-1:] == b"\n"):
                return self._overflow() if self._size > LIMIT else b""
            data = b"".join(pending)
            pending.clear()
        elif self._given_up:
            return data
        *events, rest = data.split(END)
        if rest:
            pending.append(rest)
            self._size = len(rest)
        if len(events) == 1:
            return self.edit(events[0])
        return b"".join([self.edit(event) for event in events])

    def finish(self) -> bytes:
        """What is left at the end of the answer; a last event may have no blank line."""
        rest = b"".join(self._pending)
        self._pending.clear()
        return self.held() + (self.edit(rest).removesuffix(END) if rest else b"")

    def cut(self) -> bytes:
        """Whole events alone: half of one is nothing to anybody."""
        self._pending.clear()
        return self.held()

    def edit(self, event: bytes) -> bytes:
        """What the client is sent for an event, blank line and all; empty if nothing, or not yet."""
        try:
            return self.edited(event)
        except MISSHAPEN as exc:
            log.warning("an event of SGLang's was sent on as it came: %s", type(exc).__name__)
            return event + END

    @abc.abstractmethod
    def edited(self, event: bytes) -> bytes: ...

    def held(self) -> bytes:
        """Events that wait for what comes behind them."""
        return b""

    def _overflow(self) -> bytes:
        self._given_up = True
        data = b"".join(self._pending)
        self._pending.clear()
        return data
