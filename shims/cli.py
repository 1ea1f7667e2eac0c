"""vLLM's command line, by vLLM's grammar: a real argparse parser whose spellings come from the catalogs.
`__main__` and `render_config` call `parse`; nothing is decided here.

vLLM 0.33.0 treats `_` as `-`, accepts unique prefixes and `--flag=value`, and gives each `--enable-x` a hidden
`--disable-x`. SGLang's own flags are accepted by their exact names only: its parser would expand prefixes.
"""

from __future__ import annotations

import argparse
import difflib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

from shims.catalog import Arity, CatalogFlag, catalogs
from shims.exceptions import CommandLineError
from shims.redact import scrubbed
from shims.values.sizes import human_int, human_int_or_auto

Origin = Literal["vllm", "sglang", "unknown"]
Entry = Literal["serve", "api_server"]
SUBCOMMANDS: dict[str, Entry] = {"serve": "serve", "api-server": "api_server"}
NARGS: dict[Arity, int | str | None] = {"switch": 0, "many": "+", "optional": "?", "one": None, "append": None}
TYPES: dict[str, Callable[[str], Any]] = {
    "int": int,
    "float": float,
    "human_int": human_int,
    "human_int_or_auto": human_int_or_auto,
    "json": json.loads,
}


@dataclass(frozen=True, slots=True)
class Given:
    """One flag as it was given. `value` is typed for vLLM's flags (int, float, JSON value, list, bool) and a tuple of
    texts for SGLang's; `texts` is what was written."""

    name: str
    origin: Origin
    spelled: str
    value: Any
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CommandLine:
    entry: Entry
    given: tuple[Given, ...]
    positional: str | None = None

    def last(self, name: str, default: Any = None) -> Any:
        return next((g.value for g in reversed(self.given) if g.name == name and g.origin == "vllm"), default)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise CommandLineError(f"{message} (see `vllm serve --help`)")


class _Record(argparse.Action):
    """Keeps every flag in the order given; the table decides what a repetition means."""

    def __init__(self, flag: CatalogFlag, origin: Origin, **options: Any) -> None:
        self.flag, self.origin = flag, origin
        nargs = "*" if origin == "unknown" else NARGS[flag.arity]
        super().__init__(**options, nargs=nargs)

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        assert option_string is not None
        texts = tuple(values) if isinstance(values, list) else () if values is None else (values,)
        if self.flag.arity == "switch" and self.origin == "vllm":
            value: Any = option_string in self.flag.spellings
        elif self.origin == "vllm":
            typed = [self.typed(parser, text) for text in texts]
            value = typed if self.flag.arity == "many" else typed[0] if typed else None
        else:
            value = texts
        namespace.given.append(Given(self.flag.name, self.origin, option_string, value, texts))

    def typed(self, parser: argparse.ArgumentParser, text: str) -> Any:
        try:
            value = TYPES.get(self.flag.type, str)(text)
        except ValueError as error:
            reason = f"'{text}' is not valid JSON ({error})" if self.flag.type == "json" else str(error)
            parser.error(f"argument {self.flag.name}: {reason}")
        if self.flag.choices and value not in self.flag.choices:
            accepted = ", ".join(map(str, self.flag.choices))
            parser.error(f"argument {self.flag.name}: invalid choice: '{text}' (choose from {accepted})")
        return value


def parse(argv: Sequence[str], entry: Entry = "serve") -> CommandLine:
    """Arguments after `vllm serve` (or after the api_server module) to what was given.

    Raises CommandLineError for what cannot be read. Unknown flags are kept, with the origin `unknown`, so that
    all refusals can be named at once.
    """
    parser = _Parser(prog="vllm serve", allow_abbrev=False, add_help=False)
    parser.add_argument("model_tag", nargs="?")
    vllm, sglang = catalogs()
    argv = [canonical(token) for token in argv]
    # As argparse: a token with a space in it is a value, whatever it begins with.
    names = (token.split("=", 1)[0] for token in argv if token.startswith("-"))
    used = {name for name in names if " " not in name} - {"-", "--"}
    for spelling in sorted(used):
        if spelling in vllm.by_spelling:
            _add(parser, spelling, vllm.by_spelling[spelling], "vllm")
        elif spelling in sglang.by_spelling:
            _add(parser, spelling, sglang.by_spelling[spelling], "sglang")
        elif not _is_number(spelling):
            _add(parser, spelling, CatalogFlag(spelling, "many"), "unknown")
    try:
        namespace = parser.parse_args(argv, argparse.Namespace(given=[]))
    except CommandLineError as error:
        raise CommandLineError(scrubbed(str(error), argv)) from None
    return CommandLine(entry, tuple(namespace.given), namespace.model_tag)


def from_words(words: Sequence[str]) -> CommandLine:
    """The words after `vllm`: `serve ...`, or `api-server ...` for the module of that name.

    vLLM's other subcommands are refused: this image serves, and nothing else.
    """
    subcommand, *rest = words or [""]
    if subcommand not in SUBCOMMANDS:
        given = f"'{subcommand}'" if subcommand else "nothing"
        raise CommandLineError(
            f"{given} was asked for: this image runs SGLang and knows only `vllm serve MODEL [flags]`"
        )
    return parse(rest, SUBCOMMANDS[subcommand])


def canonical(token: str) -> str:
    """`--gpu_memory_util=0.8` to `--gpu-memory-utilization=0.8`; anything that is no long option stays as it is."""
    vllm, sglang = catalogs()
    name, equals, value = token.partition("=")
    if not name.startswith("--") or name == "--" or name in vllm.by_spelling or name in sglang.by_spelling:
        return token
    head, dot, tail = name.partition(".")
    name = "--" + head[2:].replace("_", "-") + dot + tail
    if name not in vllm.by_spelling:
        matches = sorted(vllm.expand(name), key=len)
        flags = {(vllm.by_spelling[match].name, match in vllm.by_spelling[match].negations) for match in matches}
        if len(flags) > 1:
            raise CommandLineError(f"ambiguous option: {name} could match {', '.join(matches)}")
        name = matches[0] if matches else name
    return name + equals + value


def nearest(name: str) -> str | None:
    """The known flag that an unknown one most resembles."""
    vllm, sglang = catalogs()
    found = difflib.get_close_matches(name, [*vllm.by_spelling, *sglang.by_spelling], n=1, cutoff=0.6)
    return found[0] if found else None


def _add(parser: argparse.ArgumentParser, spelling: str, flag: CatalogFlag, origin: Origin) -> None:
    def action(option_strings: list[str], dest: str, **_: Any) -> _Record:
        return _Record(flag, origin, option_strings=option_strings, dest=dest, default=argparse.SUPPRESS)

    parser.add_argument(spelling, dest=flag.name, action=action)  # type: ignore[arg-type]


def _is_number(token: str) -> bool:
    try:
        float(token)
    except ValueError:
        return False
    return True
