"""A template that loops over a content wants parts."""

from __future__ import annotations

import pytest

from middleware.prompt.failures import CannotRender
from middleware.prompt.template import ChatTemplate

LOOP = "{% for m in messages %}{% for c in m.content %}{{ c }}{% endfor %}{% endfor %}"

MACRO = "{% macro f(x, y=1) %}{% for c in over %}{{ c }}{% endfor %}{% endmacro %}"


@pytest.mark.parametrize(
    "source",
    [
        LOOP,
        LOOP.replace("m.content", "m['content']"),
        LOOP.replace("m.content", "m.content | list"),
        LOOP.replace("in messages", "in messages[1:]"),
        "{% set rest = messages[1:] %}{% set more = rest %}" + LOOP.replace("in messages", "in more"),
        "{% set ns = namespace(rest=messages) %}" + LOOP.replace("in messages", "in ns.rest"),
        "{% set ns = namespace() %}{% set ns.rest = messages %}" + LOOP.replace("in messages", "in ns.rest"),
        "{% for m in messages %}{% set content = m.content %}{% for c in content %}{{ c }}{% endfor %}{% endfor %}",
        MACRO.replace("over", "x") + "{% for m in messages %}{{ f(m.content) }}{% endfor %}",
        MACRO.replace("over", "y") + "{% for m in messages %}{{ f(1, y=m.content) }}{% endfor %}",
    ],
)
def test_loops_over_a_content_are_found(source: str) -> None:
    assert ChatTemplate(source).content_format == "openai"


@pytest.mark.parametrize(
    "source",
    [
        "",
        "{% for m in messages %}{{ m.content }}{% endfor %}",
        "{% for m in messages %}{% for c in m.tool_calls %}{{ c }}{% endfor %}{% endfor %}",
        "{% for m in others %}{% for c in m.content %}{{ c }}{% endfor %}{% endfor %}",
        "{% for a, b in messages %}{% for c in content %}{{ c }}{% endfor %}{% endfor %}",
        MACRO.replace("over", "content") + "{% for m in messages %}{{ f(m.role, m.content) }}{% endfor %}",
    ],
)
def test_other_loops_are_not(source: str) -> None:
    assert ChatTemplate(source).content_format == "string"


def test_what_is_said_in_a_generation_block_stays_in_it() -> None:
    template = ChatTemplate("{% set x = 1 %}{% generation %}{% set x = 2 %}<{{ x }}>{% endgeneration %}{{ x }}")
    assert template.render({}) == "<2>1"


def test_blocks_take_their_lines_and_loops_can_be_left() -> None:
    leaving = "  {% if i > 2 %}\n{% break %}\n{% endif %}\n"
    template = ChatTemplate("{% for i in range(9) %}\n" + leaving + "{{ i }}\n{% endfor %}\n")
    assert template.render({}) == "0\n1\n2\n"


def test_json_is_written_as_python_writes_it() -> None:
    template = ChatTemplate("{{ x | tojson }}{{ x | tojson(indent=1) }}{{ x | tojson(separators=(',', ':')) }}")
    assert template.render({"x": {"b": "<é>", "a": 1.0}}) == (
        '{"b": "<é>", "a": 1.0}{\n "b": "<é>",\n "a": 1.0\n}{"b":"<é>","a":1.0}'
    )


@pytest.mark.parametrize("source", ["{% if %}", "{{ x", "{% for i in x %}" * 30 + "{% endfor %}" * 30])
def test_a_template_that_is_none_cannot_be_rendered(source: str) -> None:
    with pytest.raises(CannotRender):
        ChatTemplate(source)
