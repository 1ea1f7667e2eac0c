"""What a value of a models file can be: how it is read, what is accepted in words, and the same as a JSON schema.
`keys` names one for each key.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from shims.models.document import Node

LARGEST_NUMBER = 1_000_000
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    accepted: str  # the end of `give ...`
    schema: Json
    take: Callable[[Any], Any]  # the plain value to ours; raises ValueError or TypeError for what is not accepted
    as_written: bool = False  # it takes texts, whatever YAML makes of them

    def read(self, node: Node) -> Any:
        """Raises CommandLineError with the line."""
        value = node.as_written() if self.as_written else node.plain()
        try:
            return self.take(value)
        except (ValueError, TypeError):
            shown = repr(value) if isinstance(value, str | int | float) else node.kind
            raise node.wrong(f"{node.name} is {shown:.60}: give {self.accepted}") from None


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or any(ord(character) < 32 for character in value):
        raise ValueError
    return value


def _names(value: Any) -> tuple[str, ...]:
    return tuple(map(_text, value if isinstance(value, list) else [value]))


def _words(value: Any) -> tuple[str, ...]:
    """Words as they are, or a line as a shell would split it: over several lines, and with `\\` at their ends."""
    if isinstance(value, list):
        return tuple(_word(one) for one in value)
    if not isinstance(value, str):
        raise TypeError
    return tuple(shlex.split(value.replace("\\\n", " "), comments=True))


def _word(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _number(value: Any, least: float = 0, most: float = LARGEST_NUMBER) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise TypeError
    return value


def _whole(least: int, most: int = LARGEST_NUMBER) -> Callable[[Any], int]:
    def take(value: Any) -> int:
        if not isinstance(value, int):
            raise TypeError
        return int(_number(value, least, most))

    return take


def _switch(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _gib(value: Any) -> float:
    if (found := _number(value)) <= 0:
        raise ValueError
    return float(found)


def _devices(value: Any) -> tuple[int, ...]:
    found = tuple(map(_whole(0, 1023), value if isinstance(value, list) else [value]))
    if len(set(found)) != len(found):
        raise ValueError
    return found


def _memories(value: Any) -> float | dict[int, float]:
    if isinstance(value, dict):
        return {_whole(0, 1023)(int(device)): _gib(gib) for device, gib in value.items()}
    return _gib(value)


def _env(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise TypeError
    return {name: "" if one is None else _word(one) for name, one in value.items() if _is_variable(name)}


def _is_variable(name: str) -> bool:
    if not name.isidentifier() or not name.isascii():
        raise ValueError
    return True


def _path(value: Any) -> str:
    if not _text(value).startswith("/") or any(character.isspace() for character in value):
        raise ValueError
    return str(value)


def choice(*words: str) -> Kind:
    def take(value: Any) -> str:
        if value not in words:
            raise ValueError
        return str(value)

    return Kind(f"one of {', '.join(words)}", {"enum": list(words)}, take)


def _of(kind: str, **more: Any) -> Json:
    return {"type": kind, **more}


_WORD = {"type": ["string", "number", "boolean"]}
TEXT = Kind("a text", {**_WORD, "minLength": 1}, _text, as_written=True)
NAME = Kind("a name", _WORD, _text, as_written=True)
NAMES = Kind("a list of names", {"anyOf": [_WORD, _of("array", items=_WORD)]}, _names, as_written=True)
WORDS = Kind(
    "a line as for a shell, with its quotes closed, or a list of words",
    {"anyOf": [_WORD, _of("array", items=_WORD)]},
    _words,
    as_written=True,
)
SECONDS = Kind("a number of seconds", _of("number", minimum=0), _number)
GIB = Kind("a number of GiB", _of("number", exclusiveMinimum=0), _gib)
COUNT = Kind("a whole number of 0 or more", _of("integer", minimum=0), _whole(0))
NUMBER = Kind("a whole number of 1 or more", _of("integer", minimum=1), _whole(1))
PORT = Kind("a port from 1 to 65535", _of("integer", minimum=1, maximum=65535), _whole(1, 65535))
SWITCH = Kind("true or false", _of("boolean"), _switch)
PATH = Kind("a path that begins with /", _of("string", pattern="^/"), _path)
DEVICES = Kind(
    "a list of device numbers, each once, such as [0, 1]",
    {"anyOf": [_of("integer", minimum=0), _of("array", items=_of("integer", minimum=0), uniqueItems=True)]},
    _devices,
)
MEMORIES = Kind(
    "a number of GiB, or one for each device, such as {0: 80, 1: 80}",
    {
        "anyOf": [
            _of("number", exclusiveMinimum=0),
            _of("object", additionalProperties=_of("number", exclusiveMinimum=0)),
        ]
    },
    _memories,
)
ENV = Kind(
    "variables and their values",
    _of("object", additionalProperties={"type": [*_WORD["type"], "null"]}),
    _env,
    as_written=True,
)
