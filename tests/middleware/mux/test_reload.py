"""What a reload changes of a model that runs, and what it leaves to a middleware that comes after it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from switcher.spec import Mux
from tests.middleware.mux.several import Several, member, several
from tests.middleware.serving import wait_for


@pytest.fixture(scope="module")
def slow() -> Iterator[Several]:
    """A model and another server, that are awake together and take a second for an answer."""
    members = (member("a"), member("b", kind="other", health="/model_info"))
    env: dict[str, dict[str, str]] = {one.name: {"STANDIN_DELAY_MS": "300", "STANDIN_DEVICE": ""} for one in members}
    with several(*members, engine_env=env, slots=2) as front:
        yield front


def reload(front: Several, **more: Any) -> dict[str, Any]:
    mux = replace(front.mux, members=tuple(replace(one, **more) for one in front.mux.members))
    (front.folder / "models.json").write_text(json.dumps(mux.to_json()))
    told: dict[str, Any] = front.control.post("/reload").json()
    return told


@pytest.mark.parametrize("name", ["a", "b"])
def test_a_limit_for_the_head_of_an_answer_holds_at_once_and_restarts_nobody(name: str, slow: Several) -> None:
    assert slow.chat(name).status_code == 200
    pid = slow.pid(name)
    assert reload(slow, upstream_seconds=0.1)["done"]
    assert slow.chat(name).status_code == 504
    assert reload(slow, upstream_seconds=0.0)["done"]
    assert slow.chat(name).status_code == 200
    assert slow.pid(name) == pid


def test_a_middleware_that_comes_anew_stops_what_a_reload_has_left_running(slow: Several) -> None:
    slow.chat("a")
    assert slow.pid("a")
    only = Mux((next(one for one in slow.mux.members if one.name == "b"),))
    (slow.folder / "models.json").write_text(json.dumps(only.to_json()))
    slow.mux = only
    with slow.another() as fresh:
        wait_for(lambda: not fresh.pid("a"), "it was stopped")
