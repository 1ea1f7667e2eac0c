"""Run by the engine's own Python: SGLang's real argparse parser reads argument lists, one JSON list a line, and says
what it understood. With `cpu_engine.launch` for what SGLang imports and a CPU does not have.

Each answer is a JSON object: `error` with the parser's words, or `inexact` (flags that are no name of SGLang's own but
a prefix of one), `wrong` (flags whose parsed value is not the one that was written) and `stray` (destinations that
changed though no flag of theirs was given).
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
from typing import Any


def main() -> None:
    with contextlib.redirect_stdout(sys.stderr):
        from cpu_engine.launch import prepare

        prepare()
        from sglang.srt.server_args import ServerArgs

        parser = argparse.ArgumentParser(prog="sglang")
        ServerArgs.add_cli_args(parser)
    for line in sys.stdin:
        print(json.dumps(judge(parser, json.loads(line))), flush=True)


def judge(parser: Any, argv: list[str]) -> dict[str, Any]:
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            parsed = vars(parser.parse_args(argv))
    except SystemExit:
        return {"error": said.getvalue().strip().splitlines()[-1]}
    known = parser._option_string_actions
    given = grouped(argv)
    inexact = [name for name, _ in given if name not in known]
    wrong = [name for name, texts in given if name in known and not meant(known[name], texts, parsed)]
    named = {known[name].dest for name, _ in given if name in known}
    stray = [dest for dest, value in parsed.items() if dest not in named and value != parser.get_default(dest)]
    return {"error": "", "inexact": inexact, "wrong": wrong, "stray": stray}


def grouped(argv: list[str]) -> list[tuple[str, list[str]]]:
    groups: list[tuple[str, list[str]]] = []
    for word in argv:
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            groups.append((name, [value] if equals else []))
        else:
            groups[-1][1].append(word)
    return groups


def meant(action: Any, texts: list[str], parsed: dict[str, Any]) -> bool:
    """Whether the parsed value is what these words say by themselves."""
    value = parsed[action.dest]
    if action.nargs == 0:
        return isinstance(value, bool) or bool(value == action.const)
    typed = [action.type(text) if action.type else text for text in texts]
    if isinstance(value, list) and type(action).__name__ not in ("_StoreAction", "_AppendAction"):
        return len(value) == len(typed)  # an action of SGLang's own, which makes objects of the words
    return bool(value == typed or (len(typed) == 1 and value == typed[0]))


if __name__ == "__main__":
    main()
