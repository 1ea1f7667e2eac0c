"""The picture of a check in the README: the command's own words, of the values that the README's diff changes."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from tests.operate.check_picture import COLUMNS, PICTURE, VALUES, drawn, printed, screen
from tests.server import ROOT

SVG = "{http://www.w3.org/2000/svg}"


def shown() -> list[list[str]]:
    """The words of each line of the picture, by their places."""
    lines: dict[float, list[str]] = {}
    for text in ET.fromstring(PICTURE.read_text()).iter(f"{SVG}text"):
        lines.setdefault(float(text.attrib["y"]), []).append(text.text or "")
    return [lines[y] for y in sorted(lines)]


def test_the_picture_in_the_readme_is_what_the_command_prints_now() -> None:
    output = printed()
    assert PICTURE.read_text() == drawn(screen(output)), "run `make docs`"
    plain = [" ".join(line.split()) for line in output]
    for words in shown()[1:]:
        line = " ".join(" ".join(words).split())
        assert line == "..." or any(one == line or one.startswith(line.removesuffix("…")) for one in plain)


def test_it_shows_every_flag_that_was_given_and_the_sum() -> None:
    output = printed()
    given = output[output.index("given:") + 1 : output.index("added:") - 1]
    assert given
    lines = shown()
    assert [row.split("  ")[1] for row in given] == [words[0] for words in lines[5 : 5 + len(given)]]
    assert lines[-1] == ["1 engine: 1 would start, 0 refused"]
    assert max(map(len, screen(output))) <= COLUMNS


def test_it_stands_in_the_readmes_first_screen_beside_the_diff_of_two_lines() -> None:
    first = (ROOT / "README.md").read_text().partition("\n## ")[0]
    assert "](docs/check.svg)" in first
    [diff] = re.findall(r"```diff\n(.*?)```", first, re.DOTALL)
    changed = re.findall(r"^([+-]) *(\w+):", diff, re.MULTILINE)
    assert changed == [("-", "repository"), ("-", "tag"), ("+", "repository"), ("+", "tag")]
    before = re.sub(r"^\+.*\n", "", diff, flags=re.MULTILINE)
    assert all(line[1:].strip() in VALUES.read_text() for line in before.splitlines())
