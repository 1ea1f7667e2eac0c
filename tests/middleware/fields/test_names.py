"""The model's name in a request: what is not served is 404, an alias is the first name, an adapter its own field."""

from __future__ import annotations

import json
from typing import Any

import pytest

from middleware.errors import Refused
from middleware.fields.bound import Server, bind
from middleware.fields.chat import CHAT
from middleware.fields.completions import COMPLETIONS
from middleware.fields.edit import Editor
from middleware.fields.record import Table
from middleware.fields.tally import SEED, TOOLS, Tally
from middleware.policy import Policy
from tests.middleware.fields.editing import LEAST, edit
from tests.middleware.fields.serving import Recorded

MODEL = Recorded(names=("first", "second"))
TOOL = [{"type": "function", "function": {"name": "f"}}]


def bound(table: Table, body: dict[str, Any], tally: Tally | None = None, **policy: Any) -> dict[str, Any]:
    editor = Editor(bind(table, Server(MODEL, tally or Tally())), frozenset(), Policy(**policy))
    edited: dict[str, Any] = json.loads(editor(json.dumps({**LEAST[table.name], **body}).encode()))
    return {name: value for name, value in edited.items() if name not in LEAST[table.name]}


@pytest.mark.parametrize("table", [CHAT, COMPLETIONS], ids=["chat", "completions"])
@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("first", {"model": "first"}),
        ("second", {"model": "first"}),
        ("noisy", {"model": "first", "lora_path": "noisy"}),
        ("", {}),
        (None, {}),
    ],
)
def test_a_name_that_is_served(table: Table, name: str | None, sent: dict[str, Any]) -> None:
    assert bound(table, {"model": name}) == sent


def test_a_name_that_is_not_is_404() -> None:
    with pytest.raises(Refused) as caught:
        bound(CHAT, {"model": "nope"})
    assert caught.value.response.status_code == 404
    assert json.loads(bytes(caught.value.response.body))["error"] == {
        "message": "The model `nope` does not exist. Valid aliases: first, second.",
        "type": "NotFoundError",
        "param": "model",
        "code": 404,
    }
    with pytest.raises(Refused) as caught:
        bound(CHAT, {"model": "/srv/models/a"})
    assert b"`<path>`" in bytes(caught.value.response.body)


def test_without_names_any_is_the_models() -> None:
    assert edit(CHAT, {"model": "whatever"}) == {"model": "whatever"}


def test_sglangs_own_way_to_name_an_adapter_names_one_that_is_there() -> None:
    assert bound(CHAT, {"lora_path": "zero"}) == {"lora_path": "zero"}
    with pytest.raises(Refused):
        bound(CHAT, {"lora_path": "gone"})


def test_an_answer_is_no_longer_than_the_context() -> None:
    assert bound(CHAT, {"max_tokens": 2048}) == {"max_tokens": 2048}
    with pytest.raises(Refused) as caught:
        bound(COMPLETIONS, {"max_tokens": 2049})
    message = json.loads(bytes(caught.value.response.body))["error"]["message"]
    assert message.startswith("max_tokens=2049 cannot be greater than max_model_len=2048.")


def test_a_seed_that_nobody_heeds_is_counted_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    tally = Tally()
    for _ in range(2):
        assert bound(CHAT, {"seed": 5}, tally) == {"seed": 5}
    bound(CHAT, {"seed": 5}, tally, deterministic=True)
    assert tally.counts == {SEED: 2}
    assert len(caplog.records) == 1


@pytest.mark.parametrize("choice", [{}, {"tool_choice": "auto"}, {"tool_choice": "required"}])
def test_tools_without_a_parser_are_refused_and_counted(choice: dict[str, Any]) -> None:
    tally = Tally()
    with pytest.raises(Refused):
        bound(CHAT, {"tools": TOOL, **choice}, tally, tool_parser=False)
    assert tally.counts == {TOOLS: 1}
    bound(CHAT, {"tools": TOOL, "tool_choice": "none"}, tally, tool_parser=False)
    assert tally.counts == {TOOLS: 1}
