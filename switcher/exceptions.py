"""How the switcher says no, and how a driver says that a step went wrong.
Raised by `switcher.tickets` and by the drivers; caught by the middleware's front and by `switcher.steps`.
"""

# Of what may be otherwise by then: another server may be there, or somebody has pinned or unpinned a model.
RETRY_SECONDS = 5


class DriverError(Exception):
    """A step of a member failed; the message is the cause, one sentence without a full stop, and clients read it."""


class Ending(DriverError):
    """Nothing is started or stopped any more: the step was not begun, and has changed nothing."""


class Unavailable(Exception):
    """A request or an order that is not served: 404 unknown, 409 not now, 429 too many, 503 try again."""

    def __init__(self, status: int, sentence: str, retry_after: int | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.retry_after = retry_after  # whole seconds, for the header of that name
