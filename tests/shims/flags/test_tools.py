"""Tool calls, reasoning, structured outputs."""

from __future__ import annotations

import pytest

from shims.catalog import load
from shims.exceptions import Refused
from shims.values.grammars import GRAMMAR_BACKEND
from shims.values.parsers import REASONING, TOOL_CALL
from tests.shims.conftest import MakePlan
from tests.shims.flags.test_model import value

NO_WHITESPACE = "--constrained-json-disable-any-whitespace"


@pytest.mark.parametrize(
    ("words", "flag", "expected"),
    [
        (["--tool-call-parser", "kimi_k2"], "--tool-call-parser", "kimi_k2"),
        (["--reasoning-parser", "qwen3"], "--reasoning-parser", "qwen3"),
        (["--reasoning-parser", ""], "--reasoning-parser", None),
        (["--reasoning-config", '{"reasoning_parser": "glm45"}'], "--reasoning-parser", "glm45"),
        (
            ["--reasoning-config", '{"reasoning_parser": "glm45"}', "--reasoning-parser", "qwen3"],
            "--reasoning-parser",
            "qwen3",
        ),
        (["--structured-outputs-config", '{"backend": "guidance"}'], "--grammar-backend", "llguidance"),
        (["--structured-outputs-config", '{"backend": "auto"}'], "--grammar-backend", None),
        (["--structured-outputs-config.disable_any_whitespace", "true"], NO_WHITESPACE, ""),
        (["--structured-outputs-config", '{"reasoning_parser": "qwen3"}'], "--reasoning-parser", "qwen3"),
        (
            ["--structured-outputs-config", '{"reasoning_parser": "qwen3"}', "--reasoning-parser", "glm45"],
            "--reasoning-parser",
            "glm45",
        ),
        (["--structured-outputs-config", "{}"], "--grammar-backend", None),
        (["--guided-decoding-backend", "outlines"], "--grammar-backend", "outlines"),
        (["--guided-decoding-backend", "lm-format-enforcer"], "--grammar-backend", "xgrammar"),
        (["--guided-decoding-backend", "guidance:no-fallback"], "--grammar-backend", "llguidance"),
        (["--guided-decoding-backend", "auto"], "--grammar-backend", None),
        (["--guided-decoding-backend", "xgrammar:disable-any-whitespace,no-fallback"], NO_WHITESPACE, ""),
        (["--guided-decoding-disable-any-whitespace", "True"], NO_WHITESPACE, ""),
        (["--guided-decoding-disable-any-whitespace", "False"], NO_WHITESPACE, None),
        (["--tool-server", "localhost:9001,localhost:9002"], "--tool-server", "localhost:9001,localhost:9002"),
    ],
)
def test_a_flag_becomes(words: list[str], flag: str, expected: str | None, make_plan: MakePlan) -> None:
    assert value(make_plan("serve", "org/m", *words), flag) == expected


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--tool-call-parser", "xlam"], "those with a counterpart: apertus"),
        (["--reasoning-parser", "olmo3"], "those with a counterpart: beam"),
        (["--tool-parser-plugin", "/p.py"], "one of SGLang's own parsers"),
        (["--reasoning-parser-plugin", "/p.py"], "one of SGLang's own parsers"),
        (["--reasoning-config", '{"reasoning_end_str": "</x>"}'], "leave reasoning_end_str out"),
        (["--reasoning-config", '{"a": "b"}'], "it has no 'a'"),
        (["--reasoning-config", '{"reasoning_parser": 1}'], "not a name"),
        (["--reasoning-config", '{"reasoning_parser": "olmo3"}'], "those with a counterpart"),
        (["--reasoning-config", "[]"], "give a JSON object"),
        (["--structured-outputs-config", '{"backend": "x"}'], "those with a counterpart: auto, guidance"),
        (["--structured-outputs-config", '{"backend": 1}'], "its backend is 1: give a str"),
        (["--structured-outputs-config", '{"disable_any_whitespace": "yes"}'], "give a bool"),
        (["--structured-outputs-config", '{"odd": 1}'], "it has no 'odd'"),
        (
            ["--structured-outputs-config", '{"disable_additional_properties": true}'],
            "additionalProperties in the schemas",
        ),
        (["--structured-outputs-config", '{"enable_in_reasoning": true}'], "leave enable_in_reasoning out"),
        (["--structured-outputs-config", '{"reasoning_parser": "granite"}'], "no reasoning parser for 'granite'"),
        (["--structured-outputs-config", '{"reasoning_parser_plugin": "/p.py"}'], "reasoning_parser_plugin"),
        (["--structured-outputs-config", "true"], "give a JSON object"),
        (["--guided-decoding-backend", "guidance:no-additional-properties"], "additionalProperties"),
        (["--guided-decoding-backend", "guidance:odd"], "no option"),
        (["--guided-decoding-disable-additional-properties", "True"], "additionalProperties"),
        (["--reasoning-effort-map", '{"highest": "high"}'], "'highest' is no effort"),
        (["--reasoning-effort-map", '{"high": 1}'], "give a JSON object"),
        (["--reasoning-effort-map", "[]"], "give a JSON object"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_do(words: list[str], why: str, make_plan: MakePlan) -> None:
    with pytest.raises(Refused) as caught:
        make_plan("serve", "org/m", *words)
    assert why in str(caught.value)


@pytest.mark.parametrize(("level", "expected"), [("auto", None), ("function", "1"), ("parameter", "2")])
def test_strictness_is_a_variable_of_sglangs(level: str, expected: str | None, make_plan: MakePlan) -> None:
    env = make_plan("serve", "m", "--tool-strict-level", level).engines[0].env
    assert env.get("SGLANG_TOOL_STRICT_LEVEL") == expected


def test_efforts_are_mapped_by_the_middleware(make_plan: MakePlan) -> None:
    made = make_plan("serve", "m", "--reasoning-effort-map", '{"xhigh": "max"}')
    assert made.policy.reasoning_effort_map == {"xhigh": "max"}


@pytest.mark.parametrize(
    ("words", "env", "warned"),
    [
        (["--tool-call-parser", "hermes"], {}, False),
        ([], {"SGLANG_TOOL_CALL_PARSER": "hermes"}, False),
        ([], {}, True),
    ],
)
def test_choosing_tools_without_a_parser_is_said(
    words: list[str], env: dict[str, str], warned: bool, make_plan: MakePlan
) -> None:
    made = make_plan("serve", "org/m", "--enable-auto-tool-choice", *words, env=env)
    assert made.policy.auto_tool_choice == made.policy.tool_parser == (not warned)
    assert any("--tool-call-parser" in line for line in made.warnings) == warned


@pytest.mark.parametrize(
    ("words", "env", "parser", "auto"),
    [
        (["--tool-call-parser", "hermes"], {}, True, False),
        (["--tool-call-parser", "hermes", "--enable-auto-tool-choice"], {}, True, True),
        ([], {"SGLANG_TOOL_CALL_PARSER": "hermes"}, True, True),
        ([], {"VLLM_SHIM_ENGINE_ARGS": "--tool-call-parser hermes"}, True, True),
        ([], {}, False, False),
    ],
)
def test_tool_choice_auto_needs_the_switch_as_in_vllm_unless_nobody_gave_the_flag(
    words: list[str], env: dict[str, str], parser: bool, auto: bool, make_plan: MakePlan
) -> None:
    policy = make_plan("serve", "org/m", *words, env=env).policy
    assert (policy.tool_parser, policy.auto_tool_choice) == (parser, auto)


def test_tools_are_left_out_of_the_prompt_only_if_asked_for(make_plan: MakePlan) -> None:
    assert not make_plan("serve", "m").policy.exclude_tools_when_tool_choice_none
    made = make_plan("serve", "m", "--exclude-tools-when-tool-choice-none")
    assert made.policy.exclude_tools_when_tool_choice_none


@pytest.mark.parametrize("name", ["holo2", "hunyuan_a13b"])
def test_a_parser_that_is_not_the_same_to_the_last_mark_says_so(name: str, make_plan: MakePlan) -> None:
    assert any(name in line for line in make_plan("serve", "m", "--reasoning-parser", name).warnings)


def test_every_word_of_the_vocabularies_is_a_choice_of_sglangs() -> None:
    sglang = load("sglang").by_spelling
    assert set(TOOL_CALL.values()) <= set(sglang["--tool-call-parser"].choices)
    assert set(REASONING.values()) <= set(sglang["--reasoning-parser"].choices)
    assert set(GRAMMAR_BACKEND.values()) <= set(sglang["--grammar-backend"].choices)
