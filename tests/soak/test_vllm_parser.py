"""Our grammar beside vLLM 0.33.0's own parser, on thousands of random command lines in random spellings. By hand:
`make soak` fetches vLLM's source package.
"""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from shims import cli
from shims.catalog import catalogs
from shims.catalog.build import fetch, packages
from shims.catalog.build.inside import ask
from shims.exceptions import CommandLineError
from tests.shims.flag_samples import every_sample
from tests.shims.test_spellings import respelled, ways

VLLM = catalogs()[0]
LINES = 4000
STRAY = ("-O3", "-O=1", "x", "-n2", "-tp8", "--bogus", "-d", "-qfp8", "--")
# Where we differ on purpose: (who refuses, words of the refusal).
ON_PURPOSE = (
    ("vllm", "errors.pydantic.dev"),  # values inside a configuration object: the table's converters judge those
    ("vllm", "provided as the first positional argument"),  # with a flag before the model
    ("vllm", "unrecognized arguments: org/model"),  # --model beside a positional model, which wins here
    ("vllm", "Invalid JSON format for --lora-modules: org/model"),  # it swallowed the model; the table refuses it
    ("ours", "no model: --served-model-name"),  # it swallowed the model, and vLLM would serve its default
    ("ours", "--ep-size"),  # SGLang's own `--ep`, in vLLM a prefix of --eplb-config
)


def random_line(rng: random.Random) -> list[str]:
    today = [words for words in every_sample() if not any(_is_older(word) for word in words)]
    chosen = rng.sample(today, rng.randint(1, 5))
    groups = [respelled(words, rng.choice(ways(words)), rng.choice) for words in chosen]
    line = [word for group in groups for word in group]
    if rng.random() < 0.1:
        line.append(rng.choice(STRAY))
    line.insert(rng.choice((0, 0, 0, len(line))), "org/model")
    return line


def _is_older(word: str) -> bool:
    return word in VLLM.by_spelling and bool(VLLM.by_spelling[word].only_in)


@pytest.fixture(scope="module")
def lines() -> list[list[str]]:
    rng = random.Random(7)
    return [random_line(rng) for _ in range(LINES)]


@pytest.fixture(scope="module")
def answers(lines: list[list[str]]) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """vLLM's destination of every spelling, and what it understood of each line."""
    question = {
        "inside": str(Path(ask.__file__).parent),
        "stubs": packages.STUBS["vllm"],
        "path": str(fetch.source("vllm", VLLM.version)),
    }
    done = subprocess.run(
        [packages.environment(), "-O", Path(__file__).with_name("vllm_parser.py"), json.dumps(question)],
        input="".join(json.dumps(line) + "\n" for line in lines),
        check=True,
        capture_output=True,
        text=True,
    )
    destinations, *rest = map(json.loads, done.stdout.splitlines())
    return destinations, rest


def difference(line: list[str], theirs: dict[str, Any], destinations: dict[str, str]) -> str:
    try:
        ours = cli.parse(line)
    except CommandLineError as error:
        refused = str(error)
    else:
        refused = ", ".join(given.name for given in ours.given if given.origin != "vllm")
    if refused or "error" in theirs:
        both = bool(refused) and "error" in theirs
        who, why = ("ours", refused) if refused else ("vllm", str(theirs["error"]))
        return "" if both or any(by == who and words in why for by, words in ON_PURPOSE) else f"{who} refuses: {why}"
    values = {destinations[given.name]: given.value for given in ours.given}
    values["model_tag"] = ours.positional
    plain = {dest: v for dest, v in values.items() if isinstance(v, (bool, int, float, str, list)) and dest in theirs}
    wrong = {dest: (v, theirs[dest]) for dest, v in plain.items() if not _same(v, theirs[dest])}
    unseen = set(theirs) - set(values) - {"subparser"}
    return f"other values (ours, vLLM's): {wrong}; not seen by ours: {unseen}" if wrong or unseen else ""


def _same(ours: object, theirs: object) -> bool:
    """`--device-ids 0,1` is a list for vLLM; its enums print as their values."""
    if isinstance(theirs, list):
        own = ours if isinstance(ours, list) else str(ours).split(",")
        return len(own) == len(theirs) and all(_same(*both) for both in zip(own, theirs, strict=True))
    return ours == theirs or str(ours) == str(theirs) or theirs == "(an object)"


@pytest.mark.soak
def test_vllms_own_parser_understands_every_line_as_ours_does(
    lines: list[list[str]], answers: tuple[dict[str, str], list[dict[str, Any]]]
) -> None:
    destinations, understood = answers
    both = zip(lines, understood, strict=True)
    differences = {" ".join(line): said for line, theirs in both if (said := difference(line, theirs, destinations))}
    assert differences == {}
    assert sum("error" not in theirs for theirs in understood) > LINES / 2
