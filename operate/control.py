"""Asks the middleware over its control socket, which answers the server's own user alone.
`status`, `act` and the supervisorctl wrapper call it.
"""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any

from operate.sockets import Connection, why

SOCKET = "control.sock"
THE_MIDDLEWARE = "the middleware"


class Silent(Exception):
    """Nobody answers; the message is the reason. What was not `sent` cannot be obeyed."""

    def __init__(self, reason: str, *, sent: bool) -> None:
        super().__init__(reason)
        self.sent = sent


def ask(folder: Path, method: str, path: str, seconds: float) -> dict[str, Any]:
    """The JSON object it answers with, whatever the status; or Silent."""
    connection = Connection(folder / SOCKET, seconds)
    sent = False
    try:
        connection.connect()
        sent = True
        connection.request(method, path, headers={"connection": "close"})
        answer = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Silent(why(error, THE_MIDDLEWARE, seconds), sent=sent) from error
    finally:
        connection.close()
    if not isinstance(answer, dict):
        raise Silent(why(ValueError(), THE_MIDDLEWARE, seconds), sent=True)
    return answer
