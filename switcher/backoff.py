"""How long a member that failed is left alone: a second, doubled each time up to a minute.
Kept by each `switcher.entry`; a member that stayed awake for a while begins anew.
"""

FIRST_SECONDS = 1.0
LONGEST_SECONDS = 60.0
# A server that dies with its first request is awake for a moment each time.
STEADY_SECONDS = 60.0


class Backoff:
    __slots__ = ("failures", "until")

    def __init__(self) -> None:
        self.failures = 0  # in a row
        self.until = 0.0

    def fail(self, now: float, awake_since: float | None = None) -> float:
        """The seconds; `awake_since`: it had been awake until now."""
        if awake_since is not None and now - awake_since >= STEADY_SECONDS:
            self.failures = 0
        seconds = min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(self.failures, 10))
        self.failures += 1
        self.until = now + seconds
        return seconds

    def clear(self) -> None:
        self.failures, self.until = 0, 0.0
