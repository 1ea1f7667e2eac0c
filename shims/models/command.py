"""`vllm serve --shim-models FILE... [common flags]`, taken apart before vLLM's grammar sees it: the files, what they
ask for, and the flags that stand before each model's own. `shims.start` calls `read`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from shims import cli
from shims.cli import CommandLine
from shims.exceptions import CommandLineError
from shims.models import FLAG, VARIABLE, flag, kinds, sglangmux, sources
from shims.models.entry import Asked
from shims.models.sglangmux import Option
from shims.redact import without_secrets

OPTIONS = {option.name: option for option in sglangmux.OPTIONS}


@dataclass(frozen=True, slots=True)
class Models:
    asked: Asked
    common: CommandLine
    env: Mapping[str, str]  # with what sglangmux's options say in the place of our variables
    limits: Mapping[str, float]  # of all models, by sglangmux's options
    options: tuple[tuple[str, str, str], ...] = ()  # those options: name, value, what it becomes
    words: tuple[str, ...] = ()  # to be read again: full paths, and no secret
    given: tuple[str, ...] = ()  # how the files were named: the flag or the variable, and the other one if it is unused


def read(words: Sequence[str], env: Mapping[str, str]) -> Models:
    """The words after `vllm`, the subcommand first. Raises CommandLineError."""
    entry = cli.entry(words)
    files, common = _split(words[1:])
    given = tuple(name for name, named in ((FLAG, files), (VARIABLE, env.get(VARIABLE))) if named)
    files = files or [path.strip() for path in env.get(VARIABLE, "").split(",") if path.strip()]
    again = (words[0], FLAG, *(str(Path(file).absolute()) for file in files), *without_secrets(common))
    common, found = _options(common)
    asked = sources.read(files, env)
    parsed = cli.parse([*asked.common, *common], entry, needs_model=False)
    if model := parsed.positional or parsed.last("--model"):
        raise CommandLineError(f"{model} is named beside {given[0]}: its files name the models; add it to one of them")
    variables = {option.variable: value for option, value in found if option.variable}
    return Models(
        asked,
        parsed,
        {**variables, **{name: value for name, value in env.items() if value or name not in variables}},
        {option.limit: _seconds(option, value) for option, value in found if option.limit},
        tuple((option.name, value, _becomes(option)) for option, value in found),
        again,
        given,
    )


def of_member(words: Sequence[str]) -> CommandLine:
    """A model's own words; `serve` and `vllm serve` before them are no mistake."""
    rest = list(words)
    while rest[:1] in (["vllm"], ["serve"]):
        rest.pop(0)
    return cli.parse(rest)


def together(common: CommandLine, own: CommandLine) -> CommandLine:
    return replace(own, given=(*common.given, *own.given))


def _split(words: Sequence[str]) -> tuple[list[str], list[str]]:
    files: list[str] = []
    common: list[str] = []
    taking = False
    for word in words:
        if flag(word) == FLAG:
            _, equals, value = word.partition("=")
            taking = not equals
            files += [value] if value else []
        elif taking and not word.startswith("-"):
            files.append(word)
        else:
            taking = False
            common.append(word)
    if not files and any(flag(word) == FLAG for word in words):
        raise CommandLineError(f"{FLAG}: give at least one FILE: a models file (YAML or JSON), or launch scripts")
    return files, common


def _options(words: Sequence[str]) -> tuple[list[str], list[tuple[Option, str]]]:
    """sglangmux's own taken out, but for those that are a flag of vLLM's under another name."""
    common: list[str] = []
    found: list[tuple[Option, str]] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        option = OPTIONS.get(flag(word))
        if option is None:
            common.append(word)
            continue
        _, equals, value = word.partition("=")
        if not equals:
            if not rest:
                raise CommandLineError(f"{option.name}: expected one argument")
            value = rest.pop(0)
        found.append((option, value))
        common += [option.flag, value] if option.flag else []
    return common, found


def _seconds(option: Option, value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= kinds.LARGEST_NUMBER:
        raise CommandLineError(f"{option.name} is '{value:.40}': give a number of seconds above 0")
    return seconds


def _becomes(option: Option) -> str:
    return option.flag or option.variable or f"limits.{option.limit} of every model"
