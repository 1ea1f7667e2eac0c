"""What the page shows, whoever has it: one model, or several that take turns. The interface between the two.
Implemented by `one` and `several`, read by `events` and `app`.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

Document = dict[str, Any]


class Source(Protocol):
    @property
    def run_dir(self) -> Path | None:
        """Where the plan is; None: a middleware without the rest."""
        ...

    @property
    def orders(self) -> Sequence[str]:
        """To a model."""
        ...

    def changes(self) -> AsyncIterator[None]:
        """At each change of a state, and every second."""
        ...

    def models(self) -> list[Document]:
        """By `model`, its name; the others as `middleware.mux.told` has them, as far as they are known."""
        ...

    def timeline(self) -> list[Document]: ...

    async def numbers(self) -> dict[str, dict[str, float]]:
        """By model, of those that are awake; SGLang may take seconds to tell."""
        ...

    async def devices(self) -> list[Document]: ...

    def logs(self) -> Mapping[str, Path]:
        """By program."""
        ...

    async def order(self, name: str, word: str) -> str:
        """The state that came of it; Unavailable or KeyError."""
        ...
