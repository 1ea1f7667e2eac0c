"""The shape of the tables of answers: for each object of vLLM's, its keys in vLLM's order and where each comes from.
The tables are in `chat`, `completion`, `openai`, `usage` and `responses`; `rebuild` walks them.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from middleware.dialect.voice import Voice
from middleware.fields.told import Told

Json = dict[str, Any]
Source = Mapping[str, Any]
NEVER = "SGLang has none"
# From SGLang's object, what the request asked for, and what holds for the server.
Maker = Callable[[Source, Told, Voice], Any]
# What a maker returns for a key that is not there this time.
ABSENT: Any = object()


class Key(NamedTuple):
    name: str
    source: str = ""
    maker: Maker | None = None
    # Why, wherever the value is not simply SGLang's.
    why: str = ""


def same(name: str) -> Key:
    return Key(name, source=name)


def renamed(name: str, source: str, why: str) -> Key:
    return Key(name, source=source, why=why)


def null(name: str, why: str) -> Key:
    return Key(name, why=why)


def made(name: str, maker: Maker, why: str) -> Key:
    return Key(name, maker=maker, why=why)


def rebuild(keys: tuple[Key, ...], source: Source, told: Told, voice: Voice) -> Json:
    """Of SGLang's object only what the table names; a source that is not there is null."""
    rebuilt: Json = {}
    for name, of, maker, _ in keys:
        value = source.get(of) if maker is None else maker(source, told, voice)
        if value is not ABSENT:
            rebuilt[name] = value
    return rebuilt


def told_model(source: Source, told: Told, voice: Voice) -> Any:
    return told.model or voice.model or source["model"]


def told_id(source: Source, told: Told, voice: Voice) -> Any:
    return told.id or source["id"]


def fingerprint(source: Source, told: Told, voice: Voice) -> Any:
    return voice.fingerprint
