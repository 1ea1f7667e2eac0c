"""What vLLM 0.33.0 finds out about a chat template by trying it, for Anthropic's clients."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from middleware.prompt.files import TokenizerFiles
from middleware.prompt.renderer import Renderer
from middleware.prompt.traits import Traits, traits

PLAIN = "{% for m in messages %}{{ m.content }}{% endfor %}"
GUARDED = "{% for m in messages %}{% if m.role == 'system' and not loop.first %}{{ raise_exception('no') }}{% endif %}{% endfor %}"  # noqa: E501


def found(folder: Path, template: Any, effort: str = "auto") -> Traits:
    (folder / "tokenizer_config.json").write_text(json.dumps({} if template is None else {"chat_template": template}))
    (folder / "tokenizer.json").write_text("{}")
    files = TokenizerFiles(folder)
    return traits(files, Renderer(files), effort)


@pytest.mark.parametrize(
    ("template", "first"),
    [
        pytest.param(PLAIN, False, id="anywhere"),
        pytest.param(GUARDED, True, id="guarded"),
        pytest.param("{{ strftime_now('%Y') }}", True, id="calls what vLLM does not try it with"),
        pytest.param("{% generation %}{% endgeneration %}", True, id="no template to bare jinja"),
        pytest.param(None, True, id="none at all"),
        pytest.param(
            [{"name": "default", "template": PLAIN}, {"name": "tool_use", "template": GUARDED}], True, id="with tools"
        ),
    ],
)
def test_whether_the_system_must_come_first(tmp_path: Path, template: Any, first: bool) -> None:
    assert found(tmp_path, template).system_first is first


@pytest.mark.parametrize(
    ("template", "effort"),
    [
        pytest.param(PLAIN, "low", id="knows no efforts"),
        pytest.param(PLAIN + "{{ enable_thinking }}", "none", id="can be told not to think"),
        pytest.param(PLAIN + "{{ 1 if reasoning_effort == 'high' else 2 }}", "low", id="takes none for another"),
        pytest.param(PLAIN + "{% if reasoning_effort == 'none' %}{{ raise_exception('no') }}{% endif %}", "low",
                     id="refuses none"),
    ],
)  # fmt: skip
def test_what_no_thoughts_are_called(tmp_path: Path, template: str, effort: str) -> None:
    assert found(tmp_path, template).disabled_effort == effort
    assert found(tmp_path, template, "medium").disabled_effort == "medium"
