"""Tool calls and reasoning: which parser reads them out of the answer. `values.parsers` has the names."""

from __future__ import annotations

from typing import Any

from shims.flags.draft import Draft
from shims.flags.record import (
    Flag,
    Outcome,
    already,
    convert,
    drop,
    invalid,
    ours,
    refuse,
    refused,
    same,
    vocabulary,
)
from shims.values.parsers import APART, EFFORTS, REASONING, TOOL_CALL

STRICT = {"auto": "0", "function": "1", "parameter": "2"}
PLUGIN = "it is Python for vLLM's server, which SGLang cannot load; name one of SGLang's own parsers"
look_up_reasoning = vocabulary("--reasoning-parser", REASONING, "reasoning parser")


def reasoning_parser(draft: Draft, value: str) -> Outcome:
    """Of --reasoning-parser, and of the key of that name in --structured-outputs-config."""
    if not value:
        return already("none is named")
    if value in APART:
        draft.warnings.append(f"reasoning parser {value}: {APART[value]}")
    return look_up_reasoning(draft, value)


def auto_tool_choice(draft: Draft, value: bool) -> Outcome:
    if not value:
        return already("off by default in vLLM: tool_choice auto is refused")
    if not draft.given("--tool-call-parser") and not draft.env.get("SGLANG_TOOL_CALL_PARSER"):
        draft.warnings.append(
            "--enable-auto-tool-choice without --tool-call-parser, with which vLLM would not start: unless the model's "
            "family tells the parser, requests with tools are refused"
        )
    return Outcome("ours", "the middleware lets tool_choice auto pass", "in SGLang the tool-call parser enables it")


def tool_strict_level(draft: Draft, value: str) -> Outcome:
    if value == "auto":
        return already("SGLang's default")
    return draft.set_env("SGLANG_TOOL_STRICT_LEVEL", STRICT[value])


def exclude_tools(draft: Draft, value: bool) -> Outcome:
    draft.ask(exclude_tools_when_tool_choice_none=value)
    if not value:
        return already("vLLM's default: the prompt names the tools in any case")
    return Outcome("ours", "the middleware leaves tools out of the prompt where tool_choice is none")


def effort_map(draft: Draft, value: Any) -> Outcome:
    if not isinstance(value, dict) or not all(isinstance(word, str) for word in value.values()):
        return invalid('give a JSON object of efforts, such as {"xhigh": "high"}')
    if unknown := sorted(set(value) - set(EFFORTS)):
        return invalid(f"'{unknown[0]}' is no effort; those are {', '.join(EFFORTS)}")
    draft.ask(reasoning_effort_map=value)
    return Outcome("ours", "the middleware rewrites reasoning_effort") if value else already("nothing is mapped")


def reasoning_config(draft: Draft, value: Any) -> Outcome:
    known = ("reasoning_parser", "reasoning_start_str", "reasoning_end_str")
    if not isinstance(value, dict):
        return invalid('give a JSON object such as {"reasoning_parser": "qwen3"}')
    if odd := [key for key in value if key not in known]:
        return invalid(f"it has no '{odd[0]}'; it has {', '.join(known)}")
    if named := [key for key in known[1:] if value.get(key)]:
        return refused(f"SGLang takes the marks of reasoning from its parser: leave {named[0]} out")
    name = value.get("reasoning_parser") or ""
    if not isinstance(name, str):
        return invalid("its reasoning_parser is not a name")
    return already("--reasoning-parser wins") if draft.given("--reasoning-parser") else reasoning_parser(draft, name)


FLAGS: tuple[Flag, ...] = (
    convert(
        "--tool-call-parser", vocabulary("--tool-call-parser", TOOL_CALL, "tool-call parser"), to="--tool-call-parser"
    ),
    ours("--enable-auto-tool-choice", auto_tool_choice, to="the middleware lets tool_choice auto pass"),
    refuse("--tool-parser-plugin", PLUGIN),
    convert("--tool-strict-level", tool_strict_level, to="SGLANG_TOOL_STRICT_LEVEL"),
    ours("--exclude-tools-when-tool-choice-none", exclude_tools, to="the middleware leaves them out of the prompt"),
    same("--tool-server"),
    convert("--reasoning-parser", reasoning_parser, to="--reasoning-parser"),
    refuse("--reasoning-parser-plugin", PLUGIN),
    convert("--reasoning-config", reasoning_config, to="--reasoning-parser"),
    ours("--reasoning-effort-map", effort_map, to="the middleware rewrites requests"),
    drop("--enable-reasoning", "the parser alone enables it, as in vLLM since 0.9"),
)
