"""Sends a request exactly as it was recorded, and reads the whole answer.
Used by the replay, and by the recorder on both sides of the middleware.
"""

from __future__ import annotations

from http.client import HTTPConnection, HTTPException

from tests.differential.wire import DROPPED, Answer, Request

OF_THE_CONNECTION = frozenset({"host", "content-length", "transfer-encoding", "connection", "expect"})


def ask(port: int, request: Request, seconds: float) -> Answer:
    """A connection that ends without an answer, or that says nothing for so long, is an answer of status DROPPED."""
    connection = HTTPConnection("127.0.0.1", port, timeout=seconds)
    headers = {name: value for name, value in request.headers.items() if name.lower() not in OF_THE_CONNECTION}
    try:
        connection.request(request.method, request.target, body=request.body, headers=headers)
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, found, answer.read())
    except (OSError, HTTPException) as error:
        return Answer(DROPPED, {}, f"{type(error).__name__}: {error}".encode())
    finally:
        connection.close()
