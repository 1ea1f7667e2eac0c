"""Lines of the log about one of several models begin with its name: its watchers, orders and requests run `of` it.
`middleware.__main__` formats with `Lines`; where there is one model nothing is set.
"""

import contextlib
import logging
from collections.abc import Iterator
from contextvars import ContextVar

_NAME: ContextVar[str] = ContextVar("model", default="")


@contextlib.contextmanager
def of(name: str) -> Iterator[None]:
    """Whatever runs in the block, and the tasks that it makes."""
    token = _NAME.set(name)
    try:
        yield
    finally:
        _NAME.reset(token)


class Lines(logging.Formatter):
    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's own name
        if name := _NAME.get():
            record.message = f"{name}: {record.message}"
        return super().formatMessage(record)
