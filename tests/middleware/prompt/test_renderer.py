"""What the server's flags and the request's arguments do to a prompt."""

from __future__ import annotations

from typing import Any

import pytest

from middleware.prompt.failures import BadPrompt, CannotRender
from middleware.prompt.files import TokenizerFiles
from middleware.prompt.renderer import Renderer
from middleware.prompt.request import ChatPrompt, from_request
from tests.middleware.prompt.conftest import MakeFolder, MakeRenderer

HELLO = [{"role": "user", "content": "hello"}]
TOOL = {"type": "function", "function": {"name": "f"}}
DUMP = "{{ messages | tojson }}"
EITHER = (
    "{% for m in messages %}{% if m.content is string %}{{ m.content }}{% else %}"
    "{% for c in m.content %}{{ c.text }}{% endfor %}{% endif %}{% endfor %}"
)


def render(renderer: Renderer, messages: list[Any] = HELLO, **fields: Any) -> str:
    return renderer.render(from_request({"messages": messages, **fields}))


def test_arguments_reach_the_template_only_if_it_asks_for_them(renderer: MakeRenderer) -> None:
    ours = renderer("{{ a }}|{{ b is defined }}|{{ c is defined }}|{{ documents }}")
    kwargs = {"a": 1, "b": None, "c": "auto", "unknown": 2, "padding": True}
    assert render(ours, chat_template_kwargs=kwargs) == "1|False|False|None"


def test_an_argument_may_replace_a_special_token(renderer: MakeRenderer) -> None:
    ours = renderer("{{ bos_token }}{{ eos_token }}")
    assert render(ours) == "<|im_start|><|im_end|>"
    assert render(ours, chat_template_kwargs={"bos_token": "B"}) == "B<|im_end|>"


def test_the_servers_arguments_are_defaults(renderer: MakeRenderer) -> None:
    ours = renderer("{{ a }}{{ b }}", default_chat_template_kwargs={"a": 1, "b": 2})
    assert render(ours, chat_template_kwargs={"b": 3}) == "13"
    assert render(ours, chat_template_kwargs={"b": None}) == "12"


@pytest.mark.parametrize(
    ("fields", "seen"),
    [
        ({}, "|"),
        ({"reasoning_effort": "high"}, "high|True"),
        ({"reasoning_effort": "max"}, "high|True"),
        ({"reasoning_effort": "none"}, "none|False"),
        ({"reasoning_effort": "none", "chat_template_kwargs": {"enable_thinking": True}}, "none|True"),
    ],
)
def test_an_effort_turns_thinking_on(renderer: MakeRenderer, fields: dict[str, Any], seen: str) -> None:
    ours = renderer("{{ reasoning_effort }}|{{ enable_thinking }}", reasoning_effort_map={"max": "high"})
    assert render(ours, **fields) == seen


def test_tools_stay_without_choice_unless_the_server_excludes_them(renderer: MakeRenderer) -> None:
    for choice in ("none", "auto", {"type": "function", "function": {"name": "f"}}):
        assert '"f"' in render(renderer("{{ tools | tojson }}"), tools=[TOOL], tool_choice=choice)
    excluding = renderer("{{ tools | tojson }}", exclude_tools_when_tool_choice_none=True)
    assert render(excluding, tools=[TOOL], tool_choice="none") == "null"
    assert '"f"' in render(excluding, tools=[TOOL], tool_choice="auto")


def test_tools_are_dumped_in_vllms_order_with_its_nulls(renderer: MakeRenderer) -> None:
    tool = {"x": 1, "function": {"y": 2, "strict": "true", "parameters": {"b": 1, "a": 2}, "name": "f"}}
    assert render(renderer("{{ tools | tojson }}"), tools=[tool]) == (
        '[{"type": "function", "function": {"name": "f", "description": null, "parameters": {"b": 1, "a": 2}, '
        '"strict": true}}]'
    )


def test_a_requests_template_is_used_if_the_server_trusts_it(renderer: MakeRenderer) -> None:
    trusting = renderer("server", trust_request_chat_template=True)
    assert render(trusting) == "server"
    assert render(trusting, chat_template="{{ 1 + 1 }}") == "2"
    assert render(trusting, chat_template_kwargs={"chat_template": "{{ 1 + 2 }}"}) == "3"
    for number in range(20):
        assert render(trusting, chat_template=f"{{{{ {number} }}}}") == str(number)
    with pytest.raises(BadPrompt, match="Expected an expression"):
        render(trusting, chat_template="{% if %}")


def test_a_template_that_goes_on_and_on_is_stopped(renderer: MakeRenderer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("middleware.prompt.template.CHARACTERS", 1000)
    ours = renderer("{% for i in range(100000) %}{{ i }} {% endfor %}")
    with pytest.raises(BadPrompt, match="too long"):
        render(ours)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("{{ raise_exception('Roles must alternate') }}", "Roles must alternate"),
        ("{{ a.b.c }}", "'a' is undefined"),
        ("{{ a | tojson }}", "Object of type Undefined is not JSON serializable"),
        ("{{ messages.append(1) }}", "access to attribute 'append' of 'list' object is unsafe."),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "maximum recursion depth exceeded"),
    ],
)
def test_a_templates_refusal_is_told_in_its_own_words(renderer: MakeRenderer, source: str, words: str) -> None:
    with pytest.raises(BadPrompt) as refused:
        render(renderer(source))
    assert refused.value.message.startswith(words)


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"messages": []}, "got multiple values for keyword argument 'messages'"),
        ({"conversation": []}, "got multiple values"),
        ({"return_assistant_tokens_mask": True}, "requires `return_dict=True`"),
        ({"tools": [1]}, "Tools should either be a JSON schema"),
        ({"documents": ["x"]}, "Documents should be a list of dicts"),
        ({"documents": 3}, "'int' object is not iterable"),
    ],
)
def test_arguments_of_the_template_engine_itself_are_refused(
    renderer: MakeRenderer, kwargs: dict[str, Any], words: str
) -> None:
    with pytest.raises(BadPrompt) as refused:
        render(renderer(DUMP), chat_template_kwargs=kwargs)
    assert words in refused.value.message


def test_a_developer_becomes_the_system_where_the_template_knows_none(renderer: MakeRenderer) -> None:
    messages = [{"role": "system", "content": "s"}, *HELLO, {"role": "developer", "content": "d", "tools": [TOOL]}]
    assert render(renderer(DUMP), messages).startswith('[{"role": "system", "content": "s\\n\\nd"}, {"role": "user"')
    assert '{"role": "developer", "content": "d", "tools": [{"function"' in render(
        renderer(DUMP + "{# 'developer' #}"), messages
    )


@pytest.mark.parametrize(
    ("source", "seen"),
    [
        ("{% for m in messages %}{{ m.content }};{% endfor %}", "hello; It is "),
        ("{% for m in messages %}{{ m.content | trim }};{% endfor %}", "hello;It is"),
        ("{% for m in messages %}{% for c in m.content %}{{ c.text }};{% endfor %}{% endfor %}", "hello; It is "),
    ],
)
def test_a_continued_message_stays_open(renderer: MakeRenderer, source: str, seen: str) -> None:
    messages = [*HELLO, {"role": "assistant", "content": " It is "}]
    fields = {"continue_final_message": True, "add_generation_prompt": False}
    assert render(renderer(source), messages, **fields) == seen


@pytest.mark.parametrize("source", ["{{ messages[0].content }}", "{{ messages[0].role }}"])
def test_a_message_that_the_template_drops_cannot_be_continued(renderer: MakeRenderer, source: str) -> None:
    messages = [*HELLO, {"role": "assistant", "content": "It is"}]
    with pytest.raises(BadPrompt, match="continue_final_message is set"):
        render(renderer(source), messages, continue_final_message=True, add_generation_prompt=False)


def test_media_cannot_be_rendered(renderer: MakeRenderer) -> None:
    with pytest.raises(CannotRender, match="image_url"):
        render(renderer(DUMP), [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}])


@pytest.mark.parametrize(
    ("source", "alike"),
    [
        ("{% for m in messages %}{{ m.content }}{% endfor %}", True),
        ("{% for m in messages %}{% for c in m.content %}{{ c }}{% endfor %}{% endfor %}", False),
        (EITHER, True),
        (EITHER.replace("c.text", "c.text | trim"), False),
        ("{{ raise_exception('no') }}{% for c in messages[0].content %}{% endfor %}", True),
        ("{{ raise_exception('no') }}{% for m in messages %}{% for c in m.content %}{% endfor %}{% endfor %}", False),
    ],
)
def test_a_template_may_tell_texts_from_lists_of_one_text(renderer: MakeRenderer, source: str, alike: bool) -> None:
    assert renderer(source).texts_are_alike is alike


def test_without_any_template_chats_are_refused(folder: MakeFolder) -> None:
    with pytest.raises(BadPrompt, match="default chat template is no longer allowed"):
        Renderer(TokenizerFiles(folder())).render(ChatPrompt(HELLO))


def test_a_request_that_is_not_what_it_should_be_is_refused() -> None:
    for name, value in (("messages", {}), ("tools", "x"), ("chat_template_kwargs", []), ("reasoning_effort", 1)):
        with pytest.raises(BadPrompt, match=name):
            from_request({"messages": HELLO, name: value})
    with pytest.raises(BadPrompt, match="boolean"):
        from_request({"messages": HELLO, "add_special_tokens": "perhaps"})
    assert from_request({"messages": HELLO, "add_generation_prompt": "false"}).add_generation_prompt is False
