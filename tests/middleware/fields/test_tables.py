"""Every field of vLLM's and of SGLang's requests is decided; a field that one of them gains fails here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from middleware.errors import Refused
from middleware.fields.chat import CHAT
from middleware.fields.common import PROMPT_FIELDS
from middleware.fields.completions import COMPLETIONS
from middleware.fields.edit import Editor
from middleware.fields.record import Table
from middleware.fields.responses import RESPONSES, STORED
from middleware.policy import Policy
from tests.middleware.fields.editing import HI, LEAST, edit, error, refusal
from tests.middleware.fields.serving import bound

# Names, kinds, nulls and bounds, taken from vLLM's openapi.json and from both projects' protocols.
SCHEMAS: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "schemas.json").read_text())
VLLM, OLDER, SGLANG = SCHEMAS["vllm_0.33.0"], SCHEMAS["vllm_0.8.5_and_0.11.0"], SCHEMAS["sglang_0.5.23"]
TABLES = {"ChatCompletionRequest": CHAT, "CompletionRequest": COMPLETIONS, "ResponsesRequest": RESPONSES}
# What goes to SGLang as it is: a response is a chat, unless it is stored.
SENT = {**TABLES, "ResponsesRequest": STORED}

VLLMS = [(TABLES[kind], name, spec) for kind, fields in VLLM.items() for name, spec in fields.items()]
# These may be anything, or are told apart by what they are.
UNTYPED = [(RESPONSES, "input"), (RESPONSES, "tool_choice"), (RESPONSES, "text")]
OF_A_KIND = [case for case in VLLMS if case[2]["type"] != "any" and case[:2] not in UNTYPED]
BOUNDED = [case for case in VLLMS if "minimum" in repr(case[2])]
# Values of the right kind that ask for something else than nothing.
RIGHT: dict[str, Any] = {"string": "a", "integer": 1, "number": 1, "boolean": True}
# The same of a field that takes no such value, with what it must have beside it.
TOOL = {"type": "function", "function": {"name": "f", "parameters": {}}}
PASSES: dict[str, dict[str, Any]] = {
    "messages": {"messages": HI},
    "top_logprobs": {"top_logprobs": 2, "logprobs": True},
    "response_format": {"response_format": {"type": "json_object"}},
    "structured_outputs": {"structured_outputs": {"json": {"type": "object"}}},
    "tools": {"tools": [TOOL]},
    "tool_choice": {"tool_choice": "required", "tools": [TOOL]},
    "reasoning_effort": {"reasoning_effort": "low"},
    "thinking_token_budget": {"thinking_token_budget": -1},
    "truncation_side": {"truncation_side": "left"},
    "mm_payload": {"mm_payload": "tensors"},
    "guided_grammar": {"guided_grammar": 'root ::= "a"'},
    "continue_final_message": {"continue_final_message": True, "add_generation_prompt": False},
    "chat_template": {"chat_template": "{{ messages }}"},
    "service_tier": {"service_tier": "default"},
    "truncation": {"truncation": "auto"},
    # Of these only "no" is served.
    "use_beam_search": {"use_beam_search": False},
    "background": {"background": False},
    "include_stop_str_in_output": {"include_stop_str_in_output": False},
    "enable_response_messages": {"enable_response_messages": False},
    "ignore_eos": {"ignore_eos": False},
}
# No value of theirs goes to SGLang.
REFUSED = {
    ("chat", "prompt_logprobs"): "SGLang's chat has none",
    ("chat", "allowed_token_ids"): "SGLang has no mask of tokens",
    ("completions", "allowed_token_ids"): "SGLang has no mask of tokens",
    ("completions", "suffix"): "vLLM has it for one family of models",
    ("stored_responses", "previous_response_id"): "no such response is stored here",
    ("stored_responses", "prompt"): "vLLM refuses it as well",
}
# Looked at by vLLM before their kind is, or by us where the whole request is looked at.
IN_ITS_OWN_WORDS = {
    "cache_salt", "input", "messages", "prompt", "prompt_logprobs", "stream_options", "thinking_token_budget",
    "tool_choice", "top_logprobs", "logprobs", "structured_outputs", "prompt_embeds", "background", "text",
}  # fmt: skip


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("schema", SCHEMAS)
def test_each_field_has_a_record(schema: str, kind: str) -> None:
    for table in (TABLES[kind], SENT[kind]):
        decided = {field.name for field in table.fields}
        assert set(SCHEMAS[schema].get(kind, ())) - decided == set()


@pytest.mark.parametrize("kind", TABLES)
def test_each_record_is_of_a_field_and_has_a_reason(kind: str) -> None:
    names = [field.name for field in TABLES[kind].fields]
    assert len(names) == len(set(names))
    assert all(field.why for field in TABLES[kind].fields)
    known = set().union(*(schema.get(kind, ()) for schema in SCHEMAS.values()))
    # SGLang reads `reasoning` before it looks for its fields; vLLM's beam search once had the other.
    assert set(names) - known <= {"reasoning", "early_stopping", "media_io_kwargs"}


def of_fields(cases: list[tuple[Table, str, dict[str, Any]]]) -> pytest.MarkDecorator:
    ids = [f"{table.name}-{name}" for table, name, _ in cases]
    return pytest.mark.parametrize(("table", "name", "spec"), cases, ids=ids)


@of_fields([case for case in VLLMS if case[1] not in LEAST[case[0].name]])
def test_a_null_is_nothing_or_what_vllm_says_of_it(table: Table, name: str, spec: dict[str, Any]) -> None:
    if (name == "tool_choice" and table is CHAT) or spec["null"]:
        assert edit(table, {name: None}) == {}
    else:
        told = error(table, {name: None})
        assert told["type"] == "Bad Request"
        assert told["param"] == f"body.{name}"
        assert "'input': 'None'" in told["message"]


@of_fields([case for case in VLLMS if case[1] in LEAST[case[0].name]])
def test_a_null_is_not_what_a_request_must_have(table: Table, name: str, spec: dict[str, Any]) -> None:
    assert error(table, {name: None})["code"] == 400


@of_fields(OF_A_KIND)
def test_a_value_of_the_wrong_kind_is_400(table: Table, name: str, spec: dict[str, Any]) -> None:
    wrong: Any = "no such word" if spec["type"] in ("integer", "number", "boolean") else 5
    told = error(table, {"stream": True, **LEAST[table.name], name: wrong})
    if name not in IN_ITS_OWN_WORDS:
        assert told["type"] == "Bad Request", told
        assert str(told["param"]).startswith(f"body.{name}"), told


@of_fields(BOUNDED)
def test_bounds_of_the_schema(table: Table, name: str, spec: dict[str, Any]) -> None:
    if spec["minimum"] < -(2**60):
        below, edge = -(2**63) - 1, -(2**63)
    else:
        below, edge = int(spec["minimum"]) - 1, int(spec["minimum"])
    assert error(table, {name: below})["code"] == 400
    assert edit(table, {name: edge}) in ({}, {name: edge})


@pytest.mark.parametrize("kind", SENT)
def test_nothing_is_forwarded_that_sglang_does_not_know(kind: str) -> None:
    """Except for what the prompt's rendering takes out."""
    table = SENT[kind]
    editor = Editor(bound(table), frozenset(), Policy(trust_request_chat_template=True))
    refused = set()
    for name, spec in {**VLLM[kind], **{older: {"type": "string"} for older in OLDER[kind]}}.items():
        value = RIGHT.get(spec["type"].removeprefix("enum:").split("|")[0], {"a": {"b": 1}})
        candidates: list[Any] = [value, [value], "a", [], {}]
        passed = 0
        for fields in (PASSES.get(name, {name: value}), *({name: candidate} for candidate in candidates)):
            try:
                edited = json.loads(editor(json.dumps({**LEAST[table.name], **fields}).encode()))
            except Refused:
                continue
            passed += 1
            assert set(edited) - set(SGLANG[kind]) <= set(PROMPT_FIELDS), name
        if not passed:
            refused.add((table.name, name))
    assert refused == {one for one in REFUSED if one[0] == table.name}


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_a_field_that_nobody_knows_is_tolerated_and_goes_no_further(table: Table) -> None:
    assert edit(table, {"nobody": {"knows": 1}, "user": "u"}) == {"user": "u"}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"custom_logit_processor": "gASV"}, 400),
        ({"session_params": {"id": "a"}}, 400),
        ({"bootstrap_host": "10.0.0.1"}, 400),
        ({"bootstrap_room": 0}, 400),
        ({"routed_dp_rank": -1}, 400),
        ({"input_ids": [-1]}, 400),
        ({"input_ids": [99999999]}, 400),
        ({"input_ids": []}, 400),
        ({"images_config": {"a": 1}}, 400),
        ({"lora_path": "/tmp/adapter"}, 400),
    ],
)
def test_sglangs_own_fields_that_do_harm_are_refused(body: dict[str, Any], code: int) -> None:
    assert refusal(CHAT, body, vocab_size=1000)[0] == code


def test_sglangs_own_fields_that_do_none_pass() -> None:
    body = {"regex": "a", "return_hidden_states": True, "input_ids": [1, 2], "separate_reasoning": False}
    assert edit(CHAT, body, vocab_size=1000) == body
    assert edit(CHAT, {"rid": "mine", "messages": HI}) == {"messages": HI}
