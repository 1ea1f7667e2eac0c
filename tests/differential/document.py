"""Writes docs/compatibility.md from the list of accepted differences: `python -m tests.differential.document`.
Part of `make docs`; with --check it only says whether the page is what the list says.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tests.differential.accepted import TOPICS
from tests.differential.difference import Accepted
from tests.differential.groups import GROUPS
from tests.differential.replay import TOGETHER
from tests.differential.wire import judged
from tests.server import ROOT

PAGE = ROOT / "docs/compatibility.md"
HEAD = """# What a vLLM client could tell

Made from the list in `tests/differential/accepted.py` by `make docs`. A real vLLM 0.33.0 was asked {count} things, and
its answers were kept. The same requests go through the middleware to what a real SGLang 0.5.23 answered, and the result
is compared: status, headers, keys, nulls, types, the lengths that no text decides, the kinds of chunks of a stream and
their order, and the type, code and parameter of an error. Whatever is not vLLM's stands here, or the tests fail.
Texts, numbers and random parts of ids are the model's and the clock's, and a sentence meant for people may be another;
where the same model says the same at temperature 0, texts, tokens, ids and counts are compared too.
"""
TABLE = "\n## {}\n\n| requests | what | how | why |\n|---|---|---|---|\n"
LEFT_OUT = """
## Not compared here

| request | why |
|---|---|
"""


def page() -> str:
    parts = [HEAD.format(count=_count())]
    for topic in TOPICS:
        parts.append(TABLE.format(topic.title))
        parts += [_row(entry) for entry in topic.entries]
    parts.append(LEFT_OUT)
    parts += [f"| {_code(name)} | {why} |\n" for name, why in TOGETHER.items()]
    return "".join(parts)


def _count() -> int:
    return sum(len(judged(group)) for group in GROUPS)


def _row(entry: Accepted) -> str:
    requests = ", ".join(_code(one) for one in entry.requests.split(" | "))
    return f"| {requests} | {_code(entry.where)} | {entry.kind} | {entry.reason} |\n"


def _code(text: str) -> str:
    return f"`{text}`"


def main(argv: Sequence[str]) -> int:
    text = page()
    if argv == ["--check"]:
        current = PAGE.read_text(encoding="utf-8") if PAGE.is_file() else ""
        if current != text:
            print(f"{PAGE.relative_to(ROOT)} is not what the list says: run python -m tests.differential.document")
            return 1
        return 0
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
