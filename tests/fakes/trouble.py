"""What goes wrong in the middle of the stand-in's stream, as a request's `x-standin` header asks for it, and the mark
that tells one request's tokens from another's. Used by `tests.fakes.engine`.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass

from tests.fakes.conversation import Conversation

BEFORE = frozenset({"garbage", "half-head"})
TRICKLE_SECONDS = 0.002


def token(mark: str, number: int) -> str:
    """What the stand-in says in the place of its recorded token of this number."""
    return f"{mark}:{number} "


def marked(line: bytes, mark: str, number: int) -> bytes:
    """The event with the mark for a text. An event without text stays as it is."""
    event = json.loads(line[6:])
    choice = event["choices"][0] if event.get("choices") else {}
    if "text" in choice:
        choice["text"] = token(mark, number)
    elif choice.get("delta", {}).get("content"):
        choice["delta"]["content"] = token(mark, number)
    else:
        return line
    return b"data: " + json.dumps(event, separators=(",", ":")).encode() + b"\n\n"


def marked_whole(body: bytes, mark: str, tokens: int) -> bytes:
    answer = json.loads(body)
    text = "".join(token(mark, number) for number in range(tokens))
    choice = answer["choices"][0]
    if "text" in choice:
        choice["text"] = text
    else:
        choice["message"]["content"] = text
    return json.dumps(answer, separators=(",", ":")).encode()


def instead(name: str, to: Conversation) -> None:
    """In the place of an answer's head; `name` is one of BEFORE."""
    to.transport.write(b"\x00\xffSSH-2.0 this is not HTTP\r\n\r\n" if name == "garbage" else b"HTTP/1.1 200 OK\r\ncont")
    to.transport.close()


@dataclass(frozen=True)
class Trouble:
    """`await trouble.meets(n, line, to)` before the n-th event; True: it has ended the stream."""

    name: str = ""
    value: str = ""

    async def meets(self, number: int, line: bytes, to: Conversation) -> bool:
        if self.name == "stall":
            if number == 2:
                await asyncio.sleep(float(self.value))
            return False
        ends = {"cut-after", "close-after", "half-after", "garbage-after"}
        if self.name not in ends or number < int(self.value):
            return False
        if self.name == "cut-after":
            to.cut()
        elif self.name == "close-after":
            to.transport.close()
        elif self.name == "half-after":
            await to.chunk(line[: len(line) // 2])
            to.transport.close()
        else:
            to.transport.write(b"this is no length of a chunk\r\n")
        return True

    async def send(self, line: bytes, to: Conversation) -> None:
        if self.name != "trickle":
            await to.chunk(line)
            return
        third = len(line) // 3
        for piece in (line[:third], line[third : 2 * third], line[2 * third :]):
            await to.chunk(piece)
            await asyncio.sleep(TRICKLE_SECONDS)
