"""Which requests uvicorn's access log tells of, and how much of them.
Put on uvicorn's logger by `middleware.__main__`.
"""

import logging
from collections.abc import Iterable

# haproxy asks it three times a second, and answers everybody else's /health itself.
NEVER = frozenset({"/health"})


class AccessLogFilter(logging.Filter):
    """Leaves paths out, as vLLM's --disable-access-log-for-endpoints does, and every query: it may hold a key."""

    def __init__(self, excluded: Iterable[str]) -> None:
        super().__init__()
        self._excluded = NEVER | frozenset(excluded)

    def filter(self, record: logging.LogRecord) -> bool:
        # uvicorn 0.54: client, method, path with query, HTTP version, status.
        if not isinstance(record.args, tuple) or len(record.args) != 5:
            return True
        client, method, target, version, status = record.args
        path = str(target).partition("?")[0]
        record.args = (client, method, path, version, status)
        return path not in self._excluded
