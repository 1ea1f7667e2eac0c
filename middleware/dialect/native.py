"""A stream of SGLang's own: as it comes, but for the end that the client's id was given on its way in.
Made by `reply` where a client named its request; `fields.native` says why its id is not left alone.
"""

from middleware.dialect import ends
from middleware.dialect.events import END, Events
from middleware.fields.told import Told


class NativeStream(Events):
    __slots__ = ("_ending", "_told")

    def __init__(self, told: Told) -> None:
        super().__init__()
        self._told = told
        self._ending = told.ending.encode()

    def edited(self, event: bytes) -> bytes:
        ends.in_bytes(event, self._told)
        return event.replace(self._ending, b"") + END
