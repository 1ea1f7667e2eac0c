"""A file, or standard input, to the YAML or JSON documents in it. `source` reads them; a file that is no YAML, or that
was made to hurt its reader, ends in one sentence.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml

from operate.found import Unreadable

LARGEST = 10_000_000  # bytes; a rendered production cluster is far smaller
MOST_PAIRS = 10_000  # of one mapping after its merges
STDIN = "-"


class _Loader(yaml.SafeLoader):
    """SafeLoader, without dates (Kubernetes and Helm read `2025-05-27` as a text) and with a bound on merges."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own attribute
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        # PyYAML 6.0.3 copies the pairs of `<<: [*a, *a, ...]`, so that nine such lines fill any memory.
        super().flatten_mapping(node)
        if len(node.value) > MOST_PAIRS:
            raise yaml.YAMLError("merges that grow without end")


def read(name: str) -> list[Any]:
    """Raises Unreadable. Empty documents are left out."""
    text = _text(name)
    if text.lstrip()[:1] in ("{", "["):
        try:
            return [json.loads(text)]
        except (ValueError, RecursionError):
            pass  # YAML's own braces
    try:
        return [document for document in yaml.load_all(text, _Loader) if document is not None]
    except yaml.MarkedYAMLError as error:
        raise Unreadable(f"it is not valid YAML{_place(error)}{_hint(text)}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Unreadable(f"it is not YAML that can be read{_hint(text)}") from error


def _text(name: str) -> str:
    try:
        if name != STDIN and Path(name).is_dir():
            raise Unreadable("it is a folder: name the files in it")
        if name != STDIN and Path(name).stat().st_size > LARGEST:
            raise Unreadable(f"it is larger than {LARGEST // 1_000_000} MB")
        raw = sys.stdin.buffer.read(LARGEST) if name == STDIN else Path(name).read_bytes()
        return raw.decode("utf-8-sig")
    except OSError as error:
        raise Unreadable(f"it cannot be read: {(error.strerror or 'no such file').lower()}") from error
    except ValueError as error:
        raise Unreadable("it is not a text in UTF-8") from error


def _place(error: yaml.MarkedYAMLError) -> str:
    """Where, and what in general: PyYAML's own words quote the line, which may hold a secret."""
    problem = re.sub(r"['\"].*['\"]", "...", error.problem or "")
    mark = error.problem_mark
    where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    return f"{where}: {problem}" if problem else where


def _hint(text: str) -> str:
    return "; it looks like a template: check what `helm template` makes of it" if "{{" in text else ""
