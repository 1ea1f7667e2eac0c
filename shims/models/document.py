"""A models file as a tree that knows its lines, so that every error names one. `read` and `llama_swap` walk it.

YAML by PyYAML's own nodes within the bounds of `shims.yaml_text`; JSON is YAML whose tabs are spaces.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from shims import files
from shims.exceptions import CommandLineError
from shims.yaml_text import NoYaml, WithoutDates, place

LARGEST = 1_000_000  # bytes; PyYAML needs ten seconds for so many
MOST = 100_000  # values, those behind aliases counted each time
DEEPEST = 32
KINDS = {bool: "true or false", int: "a number", float: "a number", str: "a text", list: "a list", dict: "a mapping"}


@dataclass(frozen=True, slots=True)
class Node:
    """`value` is a scalar, a list of Nodes, or a mapping of texts to Nodes."""

    value: Any
    file: str
    line: int
    name: str = ""  # the key that it stands under
    key_line: int = 0
    text: str | None = None  # of a scalar, as it is written; None: nothing is

    def wrong(self, sentence: str) -> CommandLineError:
        """`models.yaml:12: memory_gib is 'lots': give a number`."""
        return CommandLineError(f"{self.file}:{self.line}: {sentence}")

    @property
    def kind(self) -> str:
        return "empty" if self.value is None else KINDS.get(type(self.value), "a value with a tag")

    def get(self, key: str) -> Node | None:
        """None where the key is left out, or there is nothing behind it. Raises CommandLineError for no mapping."""
        found = None if self.value is None else dict(self.items()).get(key)
        return None if found is None or found.value is None else found

    def items(self) -> Iterator[tuple[str, Node]]:
        if not isinstance(self.value, dict):
            raise self.wrong(f"{self.name or 'this'} is {self.kind}: a mapping is expected")
        yield from self.value.items()

    def each(self) -> Iterator[Node]:
        if not isinstance(self.value, list):
            raise self.wrong(f"{self.name or 'this'} is {self.kind}: a list is expected")
        yield from self.value

    def plain(self) -> Any:
        """Without the lines."""
        match self.value:
            case dict():
                return {key: node.plain() for key, node in self.value.items()}
            case list():
                return [node.plain() for node in self.value]
        return self.value

    def as_written(self) -> Any:
        """The same with each scalar's own text: to YAML 1.10 is 1.1, and yes is true."""
        match self.value:
            case dict():
                return {key: node.as_written() for key, node in self.value.items()}
            case list():
                return [node.as_written() for node in self.value]
            case bool() | int() | float() | str() | None:
                return self.text
        return self.value

    def word(self) -> str:
        if not isinstance(found := self.as_written(), str):
            raise self.wrong(f"{self.name or 'this'} is {self.kind}: give a text")
        return found


def read(path: str) -> str:
    """Its text. Raises CommandLineError."""
    try:
        return files.read_text(path, LARGEST)
    except (OSError, ValueError) as error:
        raise CommandLineError(f"{path}: {files.reason(error)}") from error


def parse(text: str, path: str) -> Node:
    """Raises CommandLineError, with the line where there is one."""
    if path.endswith(".json"):
        text = text.replace("\t", " ")  # JSON has them between its words only, where YAML has them nowhere
    try:
        loader = WithoutDates(text)
        try:
            root = loader.get_single_node()
            return Node(None, path, 1) if root is None else _Tree(loader, path).node(root)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        raise CommandLineError(f"{path} is not valid YAML{place(error)}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        why = str(error) if isinstance(error, NoYaml) else "is not YAML that can be read"
        raise CommandLineError(f"{path} {why}") from None


class _Tree:
    def __init__(self, loader: WithoutDates, path: str) -> None:
        self._loader, self._path, self._count = loader, path, 0

    def node(self, found: yaml.Node, name: str = "", key_line: int = 0, depth: int = 0) -> Node:
        self._count += 1
        line = found.start_mark.line + 1
        if self._count > MOST or depth > DEEPEST:  # nine lines of aliases fill any memory
            raise CommandLineError(f"{self._path}:{line}: it holds too much: aliases that grow without end?")
        return Node(self._value(found, name, depth), self._path, line, name, key_line or line, self._text(found))

    def _text(self, found: yaml.Node) -> str | None:
        if not isinstance(found, yaml.ScalarNode):
            return None
        is_nothing = found.tag == "tag:yaml.org,2002:null" and (
            found.value in ("", "~") or self._path.endswith(".json")
        )
        return None if is_nothing else str(found.value)

    def _value(self, found: yaml.Node, name: str, depth: int) -> Any:
        if isinstance(found, yaml.SequenceNode):
            return [self.node(one, name, depth=depth + 1) for one in found.value]
        if not isinstance(found, yaml.MappingNode):
            return self._loader.construct_object(found, deep=True)
        self._no_key_twice(found)
        self._loader.flatten_mapping(found)
        pairs: dict[str, Node] = {}
        for key, value in found.value:
            text = self._loader.construct_object(key, deep=True)
            if isinstance(text, bool | int | float):  # `8000: ...`, and `on: ...`, which YAML takes for true
                text = key.value
            if not isinstance(text, str):
                raise CommandLineError(f"{self._path}:{key.start_mark.line + 1}: a key is no text: put it in quotes")
            pairs[text] = self.node(value, text, key.start_mark.line + 1, depth + 1)
        return pairs

    def _no_key_twice(self, found: yaml.MappingNode) -> None:
        """YAML's readers keep the last and forget the first without a word."""
        seen: set[str] = set()
        for key, _ in found.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in seen:
                    where = f"{self._path}:{key.start_mark.line + 1}"
                    raise CommandLineError(f"{where}: {key.value} is given twice: leave one out")
                seen.add(key.value)
