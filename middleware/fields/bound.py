"""What a table's repairs know of the server besides the policy: the model's names, its adapters, and what is counted.
`middleware.app` binds a table once; an unbound one goes by the policy alone.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from middleware.fields.draft import Draft
from middleware.fields.record import Repair, Table
from middleware.fields.tally import Tally
from middleware.policy import Policy


class Model(Protocol):
    """`middleware.model` is one; asked anew for each request, because adapters come and go."""

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def context_length(self) -> int | None: ...

    def knows(self, name: str | None) -> bool: ...

    def adapter(self, name: str | None) -> str | None: ...


@dataclass(frozen=True, slots=True)
class PolicyModel:
    """What the policy says of the model, where nobody knows more."""

    names: tuple[str, ...]
    context_length: int | None = None

    def knows(self, name: str | None) -> bool:
        return not name or not self.names or name in self.names

    def adapter(self, name: str | None) -> str | None:
        return None


@dataclass(frozen=True, slots=True)
class Server:
    model: Model | None = None
    tally: Tally | None = None

    def model_by(self, policy: Policy) -> Model:
        return self.model or PolicyModel(policy.served_model_names)

    def count(self, kind: str) -> None:
        if self.tally is not None:
            self.tally.count(kind)


@dataclass(frozen=True, slots=True)
class Asking:
    """A repair that asks the server; written bare into a table, bound by `bind`."""

    ask: Callable[[Draft, Server], None]
    server: Server = Server()

    def __call__(self, draft: Draft) -> None:
        self.ask(draft, self.server)


def bind(table: Table, server: Server) -> Table:
    def bound(repair: Repair) -> Repair:
        return replace(repair, server=server) if isinstance(repair, Asking) else repair

    return replace(table, repairs=tuple(map(bound, table.repairs)))
