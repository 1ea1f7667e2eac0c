"""`--config FILE.yaml`: its keys are flag names, put in front of the command line's own flags so that those win.
Called by `cli.parse` before anything else reads the arguments; as vLLM 0.33.0, except that `false` under a key
with underscores is not forgotten.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from shims.catalog import catalogs
from shims.exceptions import CommandLineError
from shims.grammar import canonical

FLAG = "--config"
SUFFIXES = (".yaml", ".yml")

Read = Callable[[str], str]


def read_text(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")


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
        flag = canonical(f"--{key}")
        if value is False:
            found += _negation(flag)
        elif value is True:
            found.append(flag)
        elif isinstance(value, list):
            found += [flag, *(json.dumps(v) if isinstance(v, dict) else str(v) for v in value)] if value else []
        else:
            found += [flag, json.dumps(value) if isinstance(value, dict) else str(value)]
    return found


def _document(path: str, read: Read) -> dict[Any, Any]:
    import yaml  # noqa: PLC0415 - only where there is such a file: it would cost every start 20 ms

    try:
        document = yaml.safe_load(read(path))
    except OSError as error:
        raise CommandLineError(f"{FLAG} {path}: {error.strerror or error}") from error
    except yaml.MarkedYAMLError as error:  # its own text quotes the file, which may hold a key
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise CommandLineError(f"{FLAG} {path} is not valid YAML: line {line}: {error.problem}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise CommandLineError(f"{FLAG} {path} is not valid YAML ({type(error).__name__})") from None
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
