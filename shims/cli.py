"""vLLM's command line, by vLLM's grammar: a real argparse parser whose spellings come from the catalogs.
`__main__` and `render_config` call `parse`; nothing is decided here.

`config_file` and `grammar` have brought every spelling to one before argparse sees it. SGLang's own flags are accepted
by their exact names only: its parser would expand prefixes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NoReturn

from shims import config_file
from shims.catalog import Arity, CatalogFlag, catalogs
from shims.exceptions import CommandLineError
from shims.grammar import canonical_argv, is_number
from shims.redact import scrubbed
from shims.values import nested
from shims.values.sizes import human_int, human_int_or_auto

Origin = Literal["vllm", "sglang", "unknown"]
Entry = Literal["serve", "api_server"]
SUBCOMMANDS: dict[str, Entry] = {"serve": "serve", "api-server": "api_server"}


def _json_or_text(text: str) -> Any:
    """vLLM 0.33.0: what is wrapped in braces is JSON, anything else is the text itself."""
    stripped = text.strip()
    return nested.loads(text) if stripped.startswith("{") and stripped.endswith("}") else text


NARGS: dict[Arity, int | str | None] = {"switch": 0, "many": "+", "optional": "?", "one": None, "append": None}
TYPES: dict[str, Callable[[str], Any]] = {
    "int": int,
    "float": float,
    "human_int": human_int,
    "human_int_or_auto": human_int_or_auto,
    "json": nested.loads,
    "json_or_str": _json_or_text,
    "folded": lambda text: text.lower().replace("-", "_"),
}
NONE = ("", "None")


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
        if self.flag.optional and text in NONE:
            return None
        try:
            value = TYPES.get(self.flag.type, str)(text)
        except nested.TooMuch as error:
            parser.error(f"argument {self.flag.name}: its value {error}")
        except ValueError as error:
            reason = f"'{text}' is not valid JSON ({error})" if self.flag.type.startswith("json") else str(error)
            parser.error(f"argument {self.flag.name}: {reason}")
        if self.flag.choices and value not in self.flag.choices:
            accepted = ", ".join(map(str, self.flag.choices))
            parser.error(f"argument {self.flag.name}: invalid choice: '{text}' (choose from {accepted})")
        return value


def parse(argv: Sequence[str], entry: Entry = "serve", *, needs_model: bool = True) -> CommandLine:
    """Arguments after `vllm serve` (or after the api_server module) to what was given. Flags that several models have
    in common need none.

    Raises CommandLineError for what cannot be read. Unknown flags are kept, with the origin `unknown`, so that
    all refusals can be named at once.
    """
    argv, config = config_file.expanded(argv)
    argv = canonical_argv(argv)
    parser = _Parser(prog="vllm serve", allow_abbrev=False, add_help=False)
    parser.add_argument("model_tag", nargs="?")
    vllm, sglang = catalogs()
    # As argparse: a token with a space in it is a value, whatever it begins with.
    names = (token.split("=", 1)[0] for token in argv if token.startswith("-"))
    used = {name for name in names if " " not in name} - {"-", "--"}
    for spelling in sorted(used):
        if spelling in vllm.by_spelling:
            _add(parser, spelling, vllm.by_spelling[spelling], "vllm")
        elif spelling in sglang.by_spelling:
            _add(parser, spelling, sglang.by_spelling[spelling], "sglang")
        elif not is_number(spelling):
            _add(parser, spelling, CatalogFlag(spelling, "many"), "unknown")
    try:
        namespace = parser.parse_args(argv, argparse.Namespace(given=[]))
    except CommandLineError as error:
        raise CommandLineError(scrubbed(str(error), argv)) from None
    file = () if config is None else (Given(config_file.FLAG, "vllm", config_file.FLAG, config, (config,)),)
    command = CommandLine(entry, (*file, *_appended(namespace.given)), namespace.model_tag)
    if needs_model:
        _has_a_model(command)
    return command


def _appended(given: list[Given]) -> tuple[Given, ...]:
    """Of a flag that vLLM appends, each mention holds all so far: the last one is the whole list."""
    found: list[Given] = []
    for one in given:
        if one.origin == "vllm" and catalogs()[0].by_spelling[one.name].arity == "append":
            before = next((g for g in reversed(found) if g.name == one.name), None)
            values, texts = ([], ()) if before is None else (before.value, before.texts)
            found.append(replace(one, value=[*values, one.value], texts=(*texts, *one.texts)))
        else:
            found.append(one)
    return tuple(found)


def _has_a_model(command: CommandLine) -> None:
    """vLLM 0.33.0 serves its default model only where nothing says that another one was meant."""
    if command.entry != "serve" or command.positional is not None or command.last("--model") is not None:
        return
    if any(given.name == "--model-path" for given in command.given):
        return  # refused by name, later
    if file := command.last(config_file.FLAG):
        raise CommandLineError(f"no model: give one after `vllm serve`, or as `model:` in {file}")
    if command.last("--served-model-name") is not None:
        raise CommandLineError("no model: --served-model-name names one that `vllm serve MODEL` must give")


def from_words(words: Sequence[str]) -> CommandLine:
    """The words after `vllm`: `serve ...`, or `api-server ...` for the module of that name.

    vLLM's other subcommands are refused: this image serves, and nothing else.
    """
    return parse(words[1:], entry(words))


def entry(words: Sequence[str]) -> Entry:
    """By the first of them."""
    subcommand = next(iter(words), "")
    if subcommand not in SUBCOMMANDS:
        given = f"'{subcommand}'" if subcommand else "nothing"
        raise CommandLineError(
            f"{given} was asked for: this image runs SGLang and knows only `vllm serve MODEL [flags]`"
        )
    return SUBCOMMANDS[subcommand]


def _add(parser: argparse.ArgumentParser, spelling: str, flag: CatalogFlag, origin: Origin) -> None:
    def action(option_strings: list[str], dest: str, **_: Any) -> _Record:
        return _Record(flag, origin, option_strings=option_strings, dest=dest, default=argparse.SUPPRESS)

    parser.add_argument(spelling, dest=flag.name, action=action)  # type: ignore[arg-type]
