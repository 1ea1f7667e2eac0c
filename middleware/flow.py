"""What goes on between us and SGLang, in two numbers. Written by whoever sends the engine work (`middleware.proxy`,
`relay` and `calls`), read by `middleware.stall` and the metrics.
"""


class Flow:
    """flow.active += 1              # work is with the engine, all of its body, until `-= 1`
    flow.last = time.monotonic()  # a byte of an answer came that is no error: those need no scheduler
    """

    __slots__ = ("active", "last")

    def __init__(self) -> None:
        self.active = 0
        self.last = 0.0
