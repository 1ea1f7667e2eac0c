"""The README's first screen: eleven questions answered in a line or two, with numbers that are those of today."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from shims.catalog import load
from shims.flags import TABLE
from tests.server import ROOT

README = ROOT / "README.md"
FIRST = README.read_text().partition("\n## ")[0]
ANSWERS = dict(re.findall(r"^\| ([^|]+\?) \| (.+) \|$", FIRST, re.MULTILINE))
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]


def test_it_is_a_screen_and_answers_what_is_asked_before_a_rollout() -> None:
    assert len(FIRST.splitlines()) <= 40
    words = ["change", "flags", "GPUs", "Tested", "cost", "differs", "crashes", "back", "safe", "inside", "several"]
    assert len(ANSWERS) == len(words)
    for word, question in zip(words, ANSWERS, strict=True):
        assert word in question
    for question, answer in ANSWERS.items():
        assert len(answer) < 420, question
        assert "](" in answer or question.startswith("Can several"), f"{question} leads nowhere"


def test_it_counts_the_flags_as_the_table_does() -> None:
    kinds = {"same": "translated", "rename": "translated", "convert": "translated"}
    count = Counter(kinds.get(flag.action, flag.action) for flag in TABLE.values())
    said = (
        f"Of vLLM's {len(TABLE)} flags {count['translated']} are translated, {count['ours']} done here,"
        f" {count['drop']} ignored with a reason, {count['refuse']} refused by name"
    )
    assert said in ANSWERS["Will my flags work?"]


def test_its_costs_are_those_of_the_last_run_of_the_bench() -> None:
    summary = (ROOT / "bench/results/summary.md").read_text()
    [row] = [line for line in summary.splitlines() if line.startswith("| our whole stack |")]
    small, _, _, chunk, first, _, memory = (cell.strip() for cell in row.split("|")[2:-1])
    said = f"{small} ms of CPU a small request, {chunk} µs a chunk, {first} ms to the first token, {memory} MB"
    assert said in ANSWERS["What does it cost?"]


def test_its_versions_are_those_of_the_bases_and_of_the_catalogs() -> None:
    bases = re.findall(r"^[^#\n].*", (ROOT / "deploy/bases").read_text(), re.MULTILINE)
    for base in bases:
        [sglang] = re.findall(r":v([\d.]+)-", base)
        assert f"SGLang {sglang}" in ANSWERS["Which GPUs, which versions?"]
    assert f"SGLang {load('sglang').version} on a CPU" in ANSWERS["Tested on what?"]
    assert f"vLLM {load('vllm').version}" in ANSWERS["Tested on what?"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file_or_a_heading(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name) if name else page
        assert target.exists(), link
        if anchor:
            assert anchor in headings(target), link


def headings(page: Path) -> set[str]:
    """As GitHub makes anchors of them."""
    found = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}
