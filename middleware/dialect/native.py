"""A stream of SGLang's own: as it comes, but for the end that the client's id was given on its way in.
Made by `reply` where a client named its request; `fields.native` says why its id is not left alone.
"""

from middleware.dialect.events import END, Events


class NativeStream(Events):
    __slots__ = ("_ending",)

    def __init__(self, ending: str) -> None:
        super().__init__()
        self._ending = ending.encode()

    def edited(self, event: bytes) -> bytes:
        return event.replace(self._ending, b"") + END
