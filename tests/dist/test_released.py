"""A name that was accepted and is refused makes a major release; the list of the last one says which were accepted."""

from __future__ import annotations

import copy
import re
import tomllib

import pytest

from shims import released
from shims.released import Outcomes, newly_refused, outcomes, verdict
from tests.server import ROOT

BEFORE: Outcomes = {
    "flag": {"--a": "rename", "--b": "refuse", "--c": "drop"},
    "variable": {"VLLM_A": "ours"},
    "route": {"GET /a": "answer"},
    "field": {"chat: a": "same"},
}
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def changed(kind: str, name: str, action: str | None) -> Outcomes:
    now = copy.deepcopy(BEFORE)
    del now[kind][name]
    if action:
        now[kind][name] = action
    return now


def test_nothing_that_the_last_release_accepted_is_refused_now_or_the_version_is_a_major_one() -> None:
    why = verdict(released.load(), VERSION, outcomes())
    assert not why, why


@pytest.mark.parametrize(
    ("kind", "name", "action", "said"),
    [
        ("flag", "--a", "refuse", "the flag --a was accepted (rename) and is refuse now"),
        ("flag", "--c", None, "the flag --c was accepted (drop) and is not known now"),
        ("variable", "VLLM_A", "refuse", "the variable VLLM_A was accepted (ours) and is refuse now"),
        ("route", "GET /a", None, "the route GET /a was accepted (answer) and is not known now"),
        ("field", "chat: a", "refuse", "the field chat: a was accepted (same) and is refuse now"),
    ],
)
def test_what_was_accepted_and_is_refused_is_named_unless_the_major_version_moves(
    kind: str, name: str, action: str | None, said: str
) -> None:
    now = changed(kind, name, action)
    assert newly_refused(BEFORE, now) == [said]
    why = verdict(("1.4.0", BEFORE), "1.5.0", now)
    assert why.startswith("this is a major release: since 1.4.0\n")
    assert said in why
    assert why.endswith("make the version in pyproject.toml 2.0.0")
    assert verdict(("1.4.0", BEFORE), "2.0.0", now) == ""


@pytest.mark.parametrize(
    ("kind", "name", "action"),
    [("flag", "--a", "drop"), ("flag", "--b", "same"), ("flag", "--b", None), ("route", "GET /b", "refuse")],
)
def test_other_changes_of_an_outcome_are_no_major_release(kind: str, name: str, action: str | None) -> None:
    now = copy.deepcopy(BEFORE)
    now[kind].pop(name, None)
    if action:
        now[kind][name] = action
    assert verdict(("1.4.0", BEFORE), "1.5.0", now) == ""


def test_the_list_knows_every_kind_and_is_of_a_version_of_the_changelog() -> None:
    version, then = released.load()
    assert {kind: bool(names) for kind, names in then.items()} == dict.fromkeys(outcomes(), True)
    assert re.search(rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$", changelog(), re.MULTILINE)


def test_the_changelog_begins_with_what_is_not_released_and_says_what_a_version_means() -> None:
    text = changelog()
    assert re.findall(r"^## (.+)$", text, re.MULTILINE)[:2] == ["Versions", "[Unreleased]"]
    for kind in ("**Major**", "**Minor**", "**Patch**"):
        assert kind in text


def changelog() -> str:
    return (ROOT / "CHANGELOG.md").read_text()
