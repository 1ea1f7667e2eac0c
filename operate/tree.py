"""A document of unknown shape, read without surprises: a `Node` knows where it stands, so that an error can say so.
The readers of values files, custom resources and manifests use it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from operate.found import Unreadable

KINDS = {bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "a mapping"}


@dataclass(frozen=True, slots=True)
class Node:
    value: Any
    path: str = ""

    def __bool__(self) -> bool:
        """As in a Go template: nothing, false, 0 and all that is empty are false."""
        return bool(self.value)

    def __getitem__(self, key: str) -> Node:
        """What is missing is a Node of None, so that `a["b"]["c"]` needs no questions on the way."""
        if self.value is None or self.value == "":
            return Node(None, self._under(key))
        if not isinstance(self.value, dict):
            raise Unreadable(f"{self.path or 'the document'} is {self.kind}, not a mapping")
        return Node(self.value.get(key), self._under(key))

    def __contains__(self, key: str) -> bool:
        return isinstance(self.value, dict) and key in self.value

    def __iter__(self) -> Iterator[Node]:
        if self.value is None or self.value in ({}, ""):
            return
        if not isinstance(self.value, list):
            raise Unreadable(f"{self.path} is {self.kind}, not a list")
        for index, item in enumerate(self.value):
            yield Node(item, f"{self.path}[{index}]")

    @property
    def kind(self) -> str:
        return "empty" if self.value is None else KINDS.get(type(self.value), "a text")

    def text(self) -> str:
        """A scalar as Helm's `quote` writes it."""
        match self.value:
            case str():
                return self.value
            case bool():
                return "true" if self.value else "false"
            case int() | float():
                return str(self.value)
        raise Unreadable(f"{self.path} is {self.kind} where a text or a number belongs")

    def exact(self) -> str:
        """A text and nothing else, as Kubernetes takes it."""
        if isinstance(self.value, str):
            return self.value
        quotes = ": put it in quotes" if isinstance(self.value, bool | int | float) else ""
        raise Unreadable(f"{self.path} is {self.kind} where Kubernetes takes only a text{quotes}")

    def label(self, default: str) -> str:
        """A name for a person to read."""
        return str(self.value) if isinstance(self.value, str | int) else default

    def _under(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key
