"""What every process says, line by line: to the container's output with the name in front, and the last lines kept.
`options` and `programs` hang it into supervisord's loggers; `container` reads the last lines for the last words.
"""

from collections import deque
from typing import Any

from supervisor import loggers

from supervision.output import ContainerOutput

LAST_LINES = 30
LONGEST_LINE_BYTES = 1 << 20
LONGEST_KEPT_BYTES = 2000
# Of each life. Eight ranks that fail together say some 100 KB, and the cause stands in the first lines of it.
TAIL_BYTES = 256 << 10


class Channel:
    """One stream of one process. Each has its own, so that stdout and stderr never share a line."""

    def __init__(self, name: str, output: ContainerOutput, recent: deque[bytes]) -> None:
        self._prefix = b"[%s] " % name.encode()
        self._output = output
        self._recent = recent
        self._unfinished: list[bytes] = []
        self._unfinished_size = 0
        self._tail: deque[bytes] = deque()
        self._tail_size = 0

    def tail(self) -> bytes:
        """The end of what it said, unfinished lines included: progress bars have no line ends."""
        return b"".join((*self._tail, *self._unfinished))[-TAIL_BYTES:]

    def feed(self, data: bytes) -> None:
        whole, newline, rest = data.rpartition(b"\n")
        if newline:
            self._emit(self._take_unfinished() + whole)
        if rest:
            self._unfinished.append(rest)
            self._unfinished_size += len(rest)
            if self._unfinished_size >= LONGEST_LINE_BYTES:
                self.finish()  # a line without end: what there is, rather than all memory

    def finish(self) -> None:
        """The process is gone: its last line may lack a newline."""
        if self._unfinished:
            self._emit(self._take_unfinished())

    def _take_unfinished(self) -> bytes:
        text = b"".join(self._unfinished)
        self._unfinished.clear()
        self._unfinished_size = 0
        return text

    def _emit(self, text: bytes) -> None:
        self._recent.extend(line[:LONGEST_KEPT_BYTES] for line in text.rsplit(b"\n", LAST_LINES)[-LAST_LINES:])
        self._tail.append(text + b"\n")
        self._tail_size += len(text) + 1
        while self._tail_size - len(self._tail[0]) >= TAIL_BYTES:
            self._tail_size -= len(self._tail.popleft())
        self._output.put(self._prefix + text.replace(b"\n", b"\n" + self._prefix) + b"\n")


class Transcript:
    def __init__(self, output: ContainerOutput) -> None:
        self._output = output
        self._recent: dict[str, deque[bytes]] = {}
        self._channels: dict[str, list[Channel]] = {}  # of the present life, or the last

    def begin_life(self, name: str) -> None:
        self._channels.pop(name, None)

    def channel(self, name: str) -> Channel:
        channel = Channel(name, self._output, self._recent.setdefault(name, deque(maxlen=LAST_LINES)))
        self._channels.setdefault(name, []).append(channel)
        return channel

    def tail(self, name: str) -> bytes:
        """Of this life alone, and of all its streams."""
        return b"".join(channel.tail() for channel in self._channels.get(name, ()))

    def last_lines(self, name: str) -> list[str]:
        return [line.decode("utf-8", "replace") for line in self._recent.get(name, ())]


class ChannelHandler(loggers.Handler):  # type: ignore[misc]  # supervisor has no types
    """A log handler of supervisord's own kind: beside the file of a program, or beside supervisord's own log."""

    def __init__(self, channel: Channel, fmt: str = "%(message)s", level: int = loggers.LevelsByName.INFO) -> None:
        super().__init__()
        self.channel = channel
        self.setFormat(fmt)
        self.setLevel(level)

    def emit(self, record: Any) -> None:
        data = record.msg if isinstance(record.msg, bytes) else (self.fmt % record.asdict()).encode()
        self.channel.feed(data)

    def flush(self) -> None:
        """Written by another thread, soon."""

    def close(self) -> None:
        """A channel has no file; neither have `remove` and `reopen` (supervisorctl clear, SIGUSR2) one."""

    remove = reopen = close
