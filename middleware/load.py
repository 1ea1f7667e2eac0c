"""How many requests are with the engine: counted from when they are let in to the last byte of their answer.
Kept by `middleware.front` under --enable-server-load-tracking, told by /load.
"""


class Load:
    """with load: ...    # one request more, until the block ends however it ends"""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> None:
        self.count += 1

    def __exit__(self, *failure: object) -> None:
        self.count -= 1
