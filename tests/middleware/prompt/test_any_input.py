"""Whatever a client or a file holds, what comes out is a text or one of our two failures."""

from __future__ import annotations

import json
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from middleware.prompt.failures import BadPrompt, CannotRender
from middleware.prompt.files import TokenizerFiles
from middleware.prompt.needs import not_text, why_render
from middleware.prompt.renderer import Renderer, Rules
from middleware.prompt.request import from_request
from tests.middleware.prompt.conftest import TEMPLATES

LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
ANYTHING = st.recursive(LEAVES, lambda of: st.lists(of, max_size=3) | st.dictionaries(st.text(), of, max_size=3))


def mostly(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return ANYTHING | st.fixed_dictionaries({}, optional={name: value | ANYTHING for name, value in fields.items()})


PART = mostly(type=st.sampled_from(["text", "refusal", "thinking", "tool_reference"]), text=st.text(), name=st.text())
CALL = mostly(id=st.text(), type=st.just("function"), function=mostly(name=st.text(), arguments=st.text()))
MESSAGE = mostly(
    role=st.sampled_from(["user", "system", "assistant", "tool", "developer"]),
    content=st.text() | st.lists(PART, max_size=3),
    tool_calls=st.lists(CALL, max_size=2),
    reasoning=st.text(),
    name=st.text(),
)
TOOL = mostly(type=st.just("function"), function=mostly(name=st.text(), parameters=ANYTHING, strict=ANYTHING))
REQUEST = st.fixed_dictionaries(
    {"messages": st.lists(MESSAGE, max_size=4)},
    optional={
        "tools": st.lists(TOOL, min_size=1, max_size=2) | ANYTHING,
        "documents": ANYTHING,
        "chat_template": ANYTHING,
        "chat_template_kwargs": st.dictionaries(
            st.sampled_from(["tools", "documents", "messages", "bos_token", "enable_thinking", "self"]), ANYTHING
        )
        | ANYTHING,
        "add_generation_prompt": ANYTHING,
        "continue_final_message": ANYTHING,
        "reasoning_effort": ANYTHING,
    },
)

NAMES = sorted(path.stem for path in TEMPLATES.glob("*.jinja"))

Renderers = dict[tuple[str, bool], Renderer]


@pytest.fixture(scope="module")
def renderers(tmp_path_factory: pytest.TempPathFactory) -> Renderers:
    folder = tmp_path_factory.mktemp("model")
    (folder / "tokenizer.json").write_text("{}")
    return {
        (name, trusting): Renderer(
            TokenizerFiles(folder, str(TEMPLATES / f"{name}.jinja")), Rules(trust_request_chat_template=trusting)
        )
        for name in NAMES
        for trusting in (False, True)
    }


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(REQUEST, st.sampled_from(NAMES), st.booleans())
def test_any_request_is_rendered_or_refused(
    renderers: Renderers, request: dict[str, Any], name: str, trusting: bool
) -> None:
    with suppress(BadPrompt, CannotRender):
        assert isinstance(renderers[name, trusting].render(from_request(request)), str)
    assert not_text(request["messages"]) is None or why_render(request) is not None


CONFIGURED = ["chat_template", "bos_token", "extra_special_tokens", "tokenizer_class", "image_token"]


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.dictionaries(st.sampled_from(CONFIGURED), ANYTHING))
def test_any_configuration_is_read_or_said_to_be_unreadable(config: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "tokenizer_config.json").write_text(json.dumps(config))
        files = TokenizerFiles(Path(folder))
        for with_tools in (False, True):
            with suppress(CannotRender):
                files.template(with_tools)
        with suppress(CannotRender):
            assert all(isinstance(text, str) for text in files.special_tokens.values())
