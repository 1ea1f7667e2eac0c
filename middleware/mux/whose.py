"""Whose a request is: the model that it names, the one that keeps what it asks for, or the first for what is nobody's.
Asked by `middleware.mux.front`; names are `middleware.mux.naming`'s.
"""

from starlette.types import Scope

from middleware.mux.house import House, sglangs
from middleware.mux.members import Served
from middleware.mux.stored import Stored


class Whose:
    """served = whose.of(name, scope)    # None: it names no model; or Refused
    whose.first()                        # who says of what is nobody's that it is not there
    """

    __slots__ = ("_house", "_stored")

    def __init__(self, house: House, stored: Stored) -> None:
        self._house = house
        self._stored = stored

    def first(self) -> Served:
        default = self._house.naming.default
        everybody = list(self._house.served.values())
        ours = [one for one, _ in sglangs(([self._house.served[default]] if default else []) + everybody)]
        return (ours or everybody)[0]

    def of(self, name: str | None, scope: Scope) -> Served:
        """What another server has is not known: to be asked for a path that no SGLang has, it must be named."""
        house, default = self._house, self._house.naming.default
        if not name and (default is None or house.of(default).built is not None):
            ours = sglangs(house.served.values())
            if default is None and ours and not any(one.admits(scope) for one, _ in ours):
                return self.first()
            name = self._stored.maker(scope["path"])
        return house.of(house.naming.member(name))
