"""What the switcher asks of a member's driver: start, stop, sleep, wake, abort, and the proof that it is gone.
Implemented by `middleware.mux` over SGLang and supervisord, and by the tests' simulated devices.
"""

from typing import Protocol


class Driver(Protocol):
    """One step of a member runs at a time; a step that takes longer than the member's limit is cancelled,
    as is a start that is not wanted any more. Once it has ended nothing of it follows.

    Start, stop and sleep raise Ending where the whole server ends: there are no more switches then.
    """

    async def start(self) -> None:
        """The process is up and proven ready; DriverError otherwise."""

    async def stop(self) -> None:
        """The process is gone: asked, then killed. Harmless if it runs no more."""

    async def sleep(self) -> None:
        """Called with no request in flight: its memory is released, seen freed; or DriverError, and it is stopped."""

    def can_sleep(self) -> bool:
        """False once it was seen that it cannot: it is stopped instead."""
        ...

    async def wake(self) -> None:
        """It serves again; DriverError otherwise, and it is stopped and started."""

    async def abort(self) -> None:
        """All its running requests end with a proper error."""

    async def gone(self) -> bool:
        """The proof: its process is stopped, or its devices' memory reads as freed."""
        ...

    def alive(self) -> bool:
        """Whether its process runs, as far as is known. Asked often."""
        ...

    def busy_reason(self) -> str | None:
        """Why it must not be put away now, though it is idle: it is paused for a weight update."""
        ...
