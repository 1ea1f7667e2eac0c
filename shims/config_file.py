"""`--config FILE.yaml`: its keys are flag names, put in front of the command line's own flags so that those win.
Called by `cli.parse` before anything else reads the arguments; as vLLM 0.33.0, except that `false` under a key
with underscores is not forgotten.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from shims import files
from shims.catalog import catalogs
from shims.exceptions import CommandLineError
from shims.grammar import CONFIG, canonical

FLAG = CONFIG
SUFFIXES = (".yaml", ".yml")
KEY = re.compile(r"[A-Za-z0-9][\w.-]*\+?", re.ASCII)
LARGEST = 1_000_000  # bytes; PyYAML needs ten seconds for so many

Read = Callable[[str], str]


def read_text(path: str) -> str:
    return files.read_text(path, LARGEST)


def expanded(argv: Sequence[str], read: Read = read_text) -> tuple[list[str], str | None]:
    """The arguments with the file's in front, and the file's path. A positional model stays the first word.

    Raises CommandLineError for a file that cannot be read or holds anything but flags.
    """
    if glued := next((token for token in argv if token.startswith(f"{FLAG}=")), None):
        raise CommandLineError(f"{glued}: write it as two words, {FLAG} FILE; vLLM does not read this form")
    if FLAG not in argv:
        return list(argv), None
    if argv.count(FLAG) > 1:
        raise CommandLineError(f"{FLAG} is given twice: one file is read")
    index = argv.index(FLAG)
    if index == len(argv) - 1:
        raise CommandLineError(f"{FLAG}: expected one argument, a .yaml file")
    path = argv[index + 1]
    rest = [*argv[:index], *argv[index + 2 :]]
    return [*rest[: _leading_model(rest)], *flags(path, read), *rest[_leading_model(rest) :]], path


def flags(path: str, read: Read = read_text) -> list[str]:
    if not path.endswith(SUFFIXES):
        raise CommandLineError(f"{FLAG} {path}: a file that ends in {' or '.join(SUFFIXES)} is expected")
    document = _document(path, read)
    found: list[str] = []
    for key, value in document.items():
        if not isinstance(key, str) or not KEY.fullmatch(key):
            raise CommandLineError(f"{FLAG} {path}: a key of it is no name of a flag: `port: 8000` is the form")
        flag = canonical(f"--{key}")
        if flag.partition(".")[0] == FLAG:
            raise CommandLineError(f"{FLAG} {path}: it has a key `{key}`, and a file cannot name another one")
        if value is False:
            found += _negation(flag)
        elif value is True:
            found.append(flag)
        elif isinstance(value, list):
            found += [flag, *(_word(path, key, one) for one in value)] if value else []
        else:
            found += [flag, _word(path, key, value)]
    return found


def _word(path: str, key: str, value: object) -> str:
    try:
        if not isinstance(value, bytes | set):
            return json.dumps(value) if isinstance(value, dict) else str(value)
    except (TypeError, ValueError):
        pass  # a date, a set or bytes, in it or for a key
    raise CommandLineError(f"{FLAG} {path}: {key} holds what JSON has no word for: put a date in quotes") from None


def _document(path: str, read: Read) -> dict[Any, Any]:
    from shims import yaml_text  # noqa: PLC0415 - only where there is such a file: it would cost every start 20 ms

    try:
        found = yaml_text.documents(read(path))
    except OSError as error:
        raise CommandLineError(f"{FLAG} {path}: {files.reason(error)}") from error
    except yaml_text.NoYaml as error:
        raise CommandLineError(f"{FLAG} {path} {error}") from None
    except ValueError as error:
        raise CommandLineError(f"{FLAG} {path}: {files.reason(error)}") from None
    if len(found) > 1:
        raise CommandLineError(f"{FLAG} {path}: it holds several YAML documents, and one is read")
    document = found[0] if found else None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise CommandLineError(f"{FLAG} {path}: a mapping of flag names to values is expected")
    return document


def _negation(flag: str) -> list[str]:
    known = catalogs()[0].by_spelling.get(flag)
    return [f"--no-{flag[2:]}"] if known and f"--no-{flag[2:]}" in known.negations else []


def _leading_model(argv: Sequence[str]) -> int:
    return 1 if argv and not argv[0].startswith("-") else 0
