"""YAML that somebody else wrote: PyYAML's safe loader with bounds, and its errors without what they quote. Used for
`--config` and by the operator's `check`; not imported where there is no such file, as it costs a start 20 ms.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from shims.values.nested import TooMuch, bounded

MOST_PAIRS = 10_000  # of one mapping after its merges
MOST_MERGED = 100  # mappings in one merge
MOST_MERGES = 1_000_000  # pairs that all merges of a document bring
MOST_BITS = 4096  # of a number: Python 3.11 writes no decimal of more than 4,300 digits


class Loader(yaml.SafeLoader):
    """PyYAML 6.0.3 copies the pairs of `<<: [*a, *a, ...]`, so that nine such lines fill any memory; and for a tag that
    does not fit (`!!bool maybe`, `!!float ""`) it raises whatever happens to it."""

    merges = 0

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        before = len(node.value)
        for key, value in node.value:
            if key.tag == "tag:yaml.org,2002:merge" and len(value.value) > MOST_MERGED and _is_list(value):
                raise yaml.YAMLError("merges that grow without end")
        super().flatten_mapping(node)
        self.merges += max(0, len(node.value) - before)
        if len(node.value) > MOST_PAIRS or self.merges > MOST_MERGES:
            raise yaml.YAMLError("merges that grow without end")

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError, TypeError, ArithmeticError):
            problem = "a value that does not fit its tag"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from None
        if type(value) is int and value.bit_length() > MOST_BITS:
            raise yaml.constructor.ConstructorError(None, None, "a number that is too large", node.start_mark)
        return value


class WithoutDates(Loader):
    """Kubernetes and Helm read `2025-05-27` as a text."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own attribute
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


class NoYaml(ValueError):
    """The message is the end of a sentence about it: where, and what in general."""


def documents(text: str, loader: type[Loader] = Loader) -> list[Any]:
    """Every document, empty ones included. Raises NoYaml."""
    try:
        return bounded(list(yaml.load_all(text, loader)))  # type: ignore[no-any-return]
    except yaml.MarkedYAMLError as error:
        raise NoYaml(f"is not valid YAML{place(error)}") from None
    except TooMuch as error:
        raise NoYaml(str(error)) from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise NoYaml("is not YAML that can be read") from None


def place(error: yaml.MarkedYAMLError) -> str:
    """PyYAML's own words quote the line, which may hold a secret."""
    problem = re.sub(r"['\"].*['\"]", "...", error.problem or "", flags=re.DOTALL)
    mark = error.problem_mark
    where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    return f"{where}: {problem}" if problem else where


def _is_list(node: yaml.Node) -> bool:
    return isinstance(node, yaml.SequenceNode)
