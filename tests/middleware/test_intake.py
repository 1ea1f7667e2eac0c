"""Taking a request's body in: whole and within its limit, or piece by piece until the client leaves."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from middleware.errors import Refused
from middleware.intake import ClientGone, first_piece, whole_body


class Client:
    """ASGI's receive, with these messages and then the end."""

    def __init__(self, *pieces: bytes, leaves: bool = False) -> None:
        last = len(pieces) - 1
        self.messages: list[dict[str, Any]] = [
            {"type": "http.request", "body": piece, "more_body": leaves or number < last}
            for number, piece in enumerate(pieces)
        ]

    async def __call__(self) -> dict[str, Any]:
        return self.messages.pop(0) if self.messages else {"type": "http.disconnect"}


@pytest.mark.parametrize(("pieces", "body"), [([b""], b""), ([b"abc"], b"abc"), ([b"a", b"", b"bc"], b"abc")])
def test_a_body_is_put_together(pieces: list[bytes], body: bytes) -> None:
    assert asyncio.run(whole_body(Client(*pieces), [], 3)) == body


@pytest.mark.parametrize("headers", [[], [(b"content-length", b"4")]])
def test_more_than_the_limit_is_refused_announced_or_not(headers: list[tuple[bytes, bytes]]) -> None:
    client = Client(b"ab", b"cd", b"ef")
    with pytest.raises(Refused) as caught:
        asyncio.run(whole_body(client, headers, 3))
    assert caught.value.response.status_code == 413
    assert len(client.messages) == (3 if headers else 1)


def test_a_client_that_leaves_early_is_gone() -> None:
    with pytest.raises(ClientGone):
        asyncio.run(whole_body(Client(b"a", leaves=True), []))
    with pytest.raises(ClientGone):
        asyncio.run(first_piece(Client()))
