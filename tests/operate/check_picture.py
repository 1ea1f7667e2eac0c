"""docs/check.svg: what `vllm-to-sglang check` prints for the values of the chart's basic example, as in a terminal.
`make docs` draws it, `make check` fails where it is not what the command prints now.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.svg import MONO, Canvas
from shims.actions import WORDS
from tests.server import ROOT

VALUES = ROOT / "tests/deploy/values_of_vllm.yaml"
PICTURE = ROOT / "docs/check.svg"
COMMAND = ("vllm-to-sglang", "check", "values.yaml")
TITLE = "vllm-to-sglang check, on the values of the chart's basic example"
COLUMNS = 132
SIZE, LINE, LEFT, TOP = 12.5, 18.0, 18.0, 34.0
COLUMN = SIZE * 0.6
DARK, LIGHT, DIM = "#0d1117", "#e6edf3", "#8b949e"
GREEN, BLUE, AMBER, RED = "#3fb950", "#79c0ff", "#d29922", "#ff7b72"
COLOURS = {
    WORDS["same"]: GREEN,
    WORDS["rename"]: GREEN,
    WORDS["convert"]: GREEN,
    WORDS["ours"]: GREEN,
    WORDS["pass"]: BLUE,
    WORDS["drop"]: AMBER,
    WORDS["refuse"]: RED,
}


def printed() -> list[str]:
    """By the command itself, in a folder with that file alone."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "values.yaml").write_text(VALUES.read_text(encoding="utf-8"), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-I", "-m", "operate", *COMMAND[1:]],
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
        )
    return done.stdout.splitlines()


def screen(output: Sequence[str]) -> list[str]:
    """The prompt, what was given, and the sum; what SGLang is started with besides is long, and left out."""
    added = output.index("added:")
    lines = [f"$ {' '.join(COMMAND)}", *output[:added], "...", "", output[-1]]
    return [line if len(line) <= COLUMNS else f"{line[: COLUMNS - 1]}…" for line in lines]


def drawn(lines: Sequence[str]) -> str:
    canvas = Canvas(2 * LEFT + COLUMNS * COLUMN, TOP + len(lines) * LINE, TITLE, font=MONO)
    canvas.rect(0, 0, 2 * LEFT + COLUMNS * COLUMN, TOP + len(lines) * LINE, DARK)
    for number, line in enumerate(lines):
        for column, words, colour in _pieces(line):
            canvas.text(LEFT + column * COLUMN, TOP + number * LINE, words, size=SIZE, fill=colour)
    return canvas.rendered()


def _pieces(line: str) -> Iterator[tuple[int, str, str]]:
    """Each by its column: spaces of any number are one in a picture, and fonts are not all as wide."""
    row = line.startswith("  ")
    for found in re.finditer(r"\S+(?: \S+)*", line):
        words = found.group()
        if row:
            colour = COLOURS.get(words, DIM if found.start() > COLUMNS // 2 else LIGHT)
        else:
            colour = DIM if words == "..." or line.startswith("==") else LIGHT
        yield found.start(), words, colour


def main(argv: Sequence[str]) -> int:
    picture = drawn(screen(printed()))
    if PICTURE.exists() and PICTURE.read_text(encoding="utf-8") == picture:
        return 0
    if "--check" in argv:
        print(f"{PICTURE.relative_to(ROOT)} is not what the command prints: run `make docs`", file=sys.stderr)
        return 1
    PICTURE.write_text(picture, encoding="utf-8")
    print(f"wrote {PICTURE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
