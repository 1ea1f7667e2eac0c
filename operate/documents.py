"""A file, or standard input, to the YAML or JSON documents in it. `source` reads them; a file that is no YAML, or that
was made to hurt its reader, ends in one sentence.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from operate.found import Unreadable
from shims import files, yaml_text
from shims.values import nested

STDIN = "-"
OPEN = re.compile(r"/dev/(stdin|fd/\d+)")  # a shell's `<(helm template ...)`: a pipe, whose other end is at work


def read(name: str) -> list[Any]:
    """Raises Unreadable. Empty documents are left out."""
    text = _text(name)
    if text.lstrip()[:1] in ("{", "["):
        try:
            return [nested.loads(text)]
        except ValueError:
            pass  # YAML's own braces
    try:
        return [document for document in yaml_text.documents(text, yaml_text.WithoutDates) if document is not None]
    except yaml_text.NoYaml as error:
        raise Unreadable(f"it {error}{_hint(text)}") from error


def _text(name: str) -> str:
    try:
        return (_piped(name) if name == STDIN or OPEN.fullmatch(name) else files.read(name)).decode("utf-8-sig")
    except OSError as error:
        said = files.reason(error)
        hint = ": name the files in it" if Path(name).is_dir() else ""
        raise Unreadable(said + hint if said.startswith("it ") else f"it cannot be read: {said.lower()}") from error
    except ValueError as error:
        raise Unreadable("it is not a text in UTF-8") from error


def _piped(name: str) -> bytes:
    if name == STDIN:
        content = sys.stdin.buffer.read(files.LARGEST + 1)
    else:
        with Path(name).open("rb") as file:
            content = file.read(files.LARGEST + 1)
    if len(content) > files.LARGEST:
        raise Unreadable(f"it is larger than {files.LARGEST // 1_000_000} MB")
    return content


def _hint(text: str) -> str:
    return "; it looks like a template: check what `helm template` makes of it" if "{{" in text else ""
