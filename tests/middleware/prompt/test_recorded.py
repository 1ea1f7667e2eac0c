"""What a real vLLM 0.33.0 showed its model: recorded prompts, and renderings by its own code for other models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from middleware.prompt.failures import BadPrompt
from middleware.prompt.needs import why_render
from middleware.prompt.request import from_request
from tests.middleware.prompt.conftest import MakeRenderer, template

HERE = Path(__file__).parent
RECORDED = json.loads((HERE / "recorded.json").read_text())
RENDERED = json.loads((HERE / "rendered.json").read_text())["templates"]


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in RECORDED["prompts"]])
def test_the_prompt_is_the_recorded_one(case: dict[str, Any], renderer: MakeRenderer) -> None:
    assert renderer(template(case["template"])).render(from_request(case["request"])) == case["prompt"]


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in RECORDED["refusals"]])
def test_what_is_refused_is_refused_in_the_recorded_words(case: dict[str, Any], renderer: MakeRenderer) -> None:
    with pytest.raises(BadPrompt) as refused:
        renderer(template(case["template"])).render(from_request(case["request"]))
    assert (refused.value.message, refused.value.param) == (case["refused"], case["param"])


@pytest.mark.parametrize(
    ("name", "case"),
    [pytest.param(name, case, id=f"{name}: {about}") for name, of in RENDERED.items() for about, case in of.items()],
)
def test_other_models_templates_render_as_in_vllm(name: str, case: dict[str, Any], renderer: MakeRenderer) -> None:
    ours = renderer(template(name))
    if "refused" in case:
        with pytest.raises(BadPrompt) as refused:
            ours.render(from_request(case["request"]))
        assert refused.value.message == case["refused"]
    else:
        assert ours.render(from_request(case["request"])) == case["prompt"]


def test_most_recorded_chats_need_no_rendering() -> None:
    plain = [case for case in RECORDED["prompts"] if list(case["request"]) == ["messages"]]
    assert sum(why_render(case["request"]) is None for case in plain) > len(plain) / 2
