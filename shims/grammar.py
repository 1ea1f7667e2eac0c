"""vLLM's spellings to one spelling: every argument list that vLLM 0.33.0's FlexibleArgumentParser accepts becomes the
same list with full, dashed names and whole JSON values. `cli.parse` calls `canonical_argv` before argparse sees a word.

    --max_model_len 4096    --max-model 4096     -tp 8 -q=fp8 -n2 -O3    --compilation-config.level 3  --x.list+ a,b
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from shims.catalog import Catalog, catalogs
from shims.exceptions import CommandLineError, Refused
from shims.values import nested
from shims.values.sizes import human_int

LIMITS = "--limit-mm-per-prompt"
CONFIG = "--config"

HELP = "--help"


def canonical_argv(argv: Sequence[str]) -> list[str]:
    """Raises CommandLineError for a prefix that could mean several flags, Refused for what no program can be given."""
    _is_text(argv)
    found = [canonical(token) for token in _joined(_limits(_levels([_dashed(token) for token in argv])))]
    if any(token.partition("=")[0] == CONFIG for token in found):
        # `config_file` has taken the one that vLLM reads: this one would be named in the report, and not be read.
        raise CommandLineError(f"{CONFIG} is not read in this form: write {CONFIG} FILE once, with its whole name")
    return found


def _is_text(argv: Sequence[str]) -> None:
    """Bytes that are no UTF-8 come as halves of characters; only a file has a NUL."""
    name = "model"
    for token in argv:
        bad = re.search(r"[\0\ud800-\udfff]", token)
        name = token.partition("=")[0] if token.startswith("-") else name
        if bad:
            why = "holds a NUL" if bad[0] == "\0" else "is not UTF-8"
            raise Refused([(ascii(name).strip("'"), f"its value {why}")])


def canonical(token: str) -> str:
    """`--gpu_memory_util=0.8` to `--gpu-memory-utilization=0.8`, `-q8` to `-q=8`; what is no option stays as it is."""
    vllm, sglang = catalogs()
    token = _dashed(token)
    name, equals, value = token.partition("=")
    if not name.startswith("-") or name.strip("-") == "" or " " in name or is_number(token):
        return token
    if name in vllm.by_spelling or name in sglang.by_spelling:
        return token
    matches = sorted(_matches(vllm, name), key=len)
    flags = {(vllm.by_spelling[match].name, match in vllm.by_spelling[match].negations) for match in matches}
    glued = not name.startswith("--") and name[:2] in vllm.by_spelling
    help_too = len(name) > 2 and HELP.startswith(name)
    if flags and len(flags) + glued + help_too > 1:
        candidates = [*([HELP] if help_too else []), *matches, *([name[:2]] if glued else [])]
        raise CommandLineError(f"ambiguous option: {name} could match {', '.join(candidates)}")
    if glued:
        return f"{token[:2]}={token[2:].removeprefix('=')}"
    return (matches[0] if matches else name) + equals + value


def is_number(token: str) -> bool:
    try:
        float(token)
    except ValueError:
        return False
    return True


def _matches(vllm: Catalog, prefix: str) -> list[str]:
    """As argparse's abbreviations; a flag that only older releases had never makes one of today's ambiguous."""
    dashes = 2 if prefix.startswith("--") else 1
    found = [s for s in vllm.expand(prefix) if s.startswith("-" * dashes) and not s.startswith("-" * (dashes + 1))]
    return [s for s in found if not vllm.by_spelling[s].only_in] or found


def _dashed(token: str) -> str:
    """`_` is `-` between the leading dashes and the first dot or equals sign, unless SGLang's own name has it."""
    if not token.startswith("--"):
        return token
    name, equals, value = token.partition("=")
    head, dot, tail = name.partition(".")
    return "--" + head[2:].replace("_", "-") + dot + tail + equals + value


def _levels(argv: list[str]) -> list[str]:
    """`-O3`, `-O=3` and `-O 3` to `--optimization-level 3`; `-O {...}` was the compilation config until 0.11."""
    found: list[str] = []
    for position, token in enumerate(argv):
        following = argv[position + 1] if position + 1 < len(argv) else ""
        if token == "-O" and following in ("0", "1", "2", "3"):
            found.append("--optimization-level")
        elif token == "-O" and following.lstrip().startswith("{"):
            found.append("--compilation-config")
        elif token.startswith("-O") and token != "-O" and not token.startswith("-O."):
            level = token[2:].removeprefix("=")
            found += ["--compilation-config" if level.startswith("{") else "--optimization-level", level]
        elif token.startswith("-O."):
            found.append("--compilation-config" + token[2:])
        else:
            found.append(token)
    return found


def _limits(argv: list[str]) -> list[str]:
    """`image=2,video=1` to `{"image": 2, "video": 1}`: so 0.8 wrote the value of --limit-mm-per-prompt."""
    found: list[str] = []
    for token in argv:
        name, equals, value = token.partition("=")
        if name == LIMITS and equals:
            found.append(f"{name}={_pairs(value)}")
        else:
            found.append(_pairs(token) if found and found[-1] == LIMITS else token)
    return found


def _pairs(text: str) -> str:
    if not re.fullmatch(r"\s*\w+=\d{1,9}(\s*,\s*\w+=\d{1,9})*\s*", text, re.ASCII):
        return text
    return json.dumps({kind.strip(): int(count) for kind, count in (pair.split("=") for pair in text.split(","))})


def _joined(argv: list[str]) -> list[str]:
    """`--x.a.b 1 --x.c+ d` to `--x '{"a": {"b": 1}, "c": ["d"]}'`, at the end: it beats a whole `--x` before it."""
    found: list[str] = []
    documents: dict[str, dict[str, Any]] = {}
    words = iter(argv)
    for token in words:
        name, equals, text = token.partition("=")
        if not token.startswith("-") or "." not in name or " " in name or is_number(token):
            found.append(token)
            continue
        if not equals:
            text = next(words, "")
            if not text:
                raise CommandLineError(f"argument {name}: expected one argument")
        value: Any = text.split(",") if name.endswith("+") else _value(name, text)
        flag, *keys = name.removesuffix("+").split(".")
        if len(keys) > nested.DEEPEST:
            raise CommandLineError(f"argument {flag}: it is more than {nested.DEEPEST} levels deep")
        if not all(keys):
            raise CommandLineError(f"argument {name}: a key between its dots is empty")
        for key in reversed(keys):
            value = {key: value}
        _merge(documents.setdefault(canonical(flag), {}), value)
    for flag, document in documents.items():
        found += [flag, json.dumps(document)]
    return found


def _value(name: str, text: str) -> Any:
    try:
        return nested.loads(text)
    except nested.TooMuch as error:
        raise CommandLineError(f"argument {name}: it {error}") from None
    except ValueError:
        pass
    try:
        return human_int(text)
    except ValueError:
        return text


def _merge(into: dict[str, Any], more: dict[str, Any]) -> None:
    for key, value in more.items():
        there = into.get(key)
        if isinstance(value, dict) and isinstance(there, dict):
            _merge(there, value)
        elif isinstance(value, list) and isinstance(there, list):
            there += value
        else:
            into[key] = value
