"""SGLang's own routes: nothing goes through them that ends SGLang, or that reaches into another client's request."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import shims
from middleware.errors import Refused
from middleware.fields.chat import CHAT
from middleware.fields.completions import COMPLETIONS
from middleware.fields.each import PER_PROMPT
from middleware.fields.edit import Editor
from middleware.fields.native import ENCODE, NATIVE
from middleware.fields.ollama import OLLAMA
from middleware.fields.others import DETOKENIZE
from middleware.fields.parsing import CALLS_PARSED, REASONING_PARSED
from middleware.fields.record import Table
from middleware.fields.vertex import VERTEX
from middleware.policy import Policy
from tests.middleware.fields.serving import Recorded, bound
from tests.middleware.fields.test_tables import SCHEMAS

CATALOG: dict[str, Any] = json.loads((Path(shims.__file__).parent / "catalog/sglang.json").read_text())
KNOWN: dict[str, list[str]] = SCHEMAS["sglang_0.5.23_own"]
POLICY = Policy(vocab_size=1000, max_n=8, max_new_tokens=100, max_completion_prompts=3)


def edit(table: Table, body: dict[str, Any], policy: Policy = POLICY) -> dict[str, Any]:
    edited: dict[str, Any] = json.loads(
        Editor(bound(table, Recorded()), frozenset(), policy)(json.dumps(body).encode())
    )
    return edited


def refused(table: Table, body: dict[str, Any], policy: Policy = POLICY) -> str:
    with pytest.raises(Refused) as caught:
        edit(table, body, policy)
    assert caught.value.response.status_code == 400
    return str(json.loads(bytes(caught.value.response.body))["error"]["message"])


def sampling(params: dict[str, Any]) -> list[tuple[Table, dict[str, Any]]]:
    """The ways in which parameters come to SGLang."""
    return [
        (NATIVE, {"text": "a", "sampling_params": params}),
        (NATIVE, {"text": ["a", "b"], "sampling_params": [{}, params]}),
        (VERTEX, {"instances": [{"text": "a"}], "parameters": {"sampling_params": params}}),
    ]


@pytest.mark.parametrize(("table", "kind"), [(NATIVE, "GenerateReqInput"), (ENCODE, "EmbeddingReqInput")])
def test_each_field_is_decided(table: Table, kind: str) -> None:
    decided = {field.name for field in table.fields} | {"sampling_params"}
    assert set(KNOWN[kind]) - decided == set()
    assert decided - set(KNOWN[kind]) == set()
    assert all(field.why for field in table.fields)


DEADLY: list[dict[str, Any]] = [
    {"top_logprobs_num": 50000},
    {"top_logprobs_num": [0, 50000]},
    {"top_logprobs_num": -1},
    {"top_logprobs_num": "many"},
    {"token_ids_logprob": [1_000_000]},
    {"token_ids_logprob": [-1]},
    {"token_ids_logprob": [[1], [1_000_000]]},
    {"token_ids_logprob": list(range(500))},
    {"logprob_start_len": -7},
    {"custom_logit_processor": "gASV"},
    {"session_params": {"id": "a"}},
    {"bootstrap_host": "10.0.0.1"},
    {"bootstrap_room": 5},
    {"bootstrap_pair_key": "a"},
    {"encoder_urls": ["http://10.0.0.1"]},
    {"kv_hints": {"a": 1}},
    {"mm_hashes": ["aa"]},
    {"mm_content_hashes": ["sha256:aa"]},
    {"positional_embed_overrides": [[1.0]]},
    {"http_worker_ipc": "ipc:///tmp/x"},
    {"token_indices_to_pool": [99]},
    {"lora_path": "/etc"},
    {"lora_path": [None, "nobody"]},
    {"lora_id": "a"},
    {"images_config": {"image_mode": "a"}},
    {"max_dynamic_patch": 9999},
    {"routed_dp_rank": -1},
    {"max_thinking_tokens": -1},
    # SGLang's 64 bits, and its tensors' 32.
    {"priority": 2**63},
    {"logprob_start_len": 2**31},
    {"top_logprobs_num": 2**31},
    {"routed_experts_start_len": 2**63},
    {"token_ids_logprob": [[1], 2]},
    {"token_ids_logprob": [None]},
    {"return_logprob": [None]},
]
PARAMS: list[dict[str, Any]] = [
    {"n": 9},
    {"n": 0},
    {"n": 1.5},
    {"max_new_tokens": -1},
    {"max_new_tokens": 1.5},
    {"max_new_tokens": "many"},
    {"min_new_tokens": 50, "max_new_tokens": 10},
    {"stop_token_ids": [1_000_000]},
    {"stop_token_ids": [-1]},
    {"stop_token_ids": ["a"]},
    {"logit_bias": {"1000000": 1}},
    {"logit_bias": {"-1": 1}},
    {"logit_bias": {"a": 1}},
    {"stop": 5},
    {"stop": ["a"] * 5},
    {"stop_regex": "(a+)+$"},
    {"beam_width": 4},
    {"custom_params": {"__sglang_reasoning_end_token_ids": [1]}},
    {"temperature": "hot"},
    {"temperature": "nan"},
    {"temperature": 10**400},
    {"temperature": -1},
    {"top_p": 0},
    {"top_p": 1.5},
    {"min_p": -1},
    {"repetition_penalty": 3},
    {"frequency_penalty": -3},
    {"top_k": 0},
    {"top_k": -2},
    {"sampling_seed": 2**63},
    {"stream_interval": 2**31},
    {"min_new_tokens": 2**31, "max_new_tokens": None},
    {"max_new_tokens": 2**63},
    {"top_k": []},
    # SGLang's own notes on a request.
    {"is_normalized": True},
    {"stop_strs": None},
    {"stop_regex_strs": ["a"]},
    {"max_tokens": 5},
]


@pytest.mark.parametrize("body", DEADLY, ids=json.dumps)
def test_what_does_harm_is_refused(body: dict[str, Any]) -> None:
    refused(NATIVE, {"text": "a", **body})
    refused(VERTEX, {"instances": [{"text": "a"}], "parameters": body})


@pytest.mark.parametrize("ids", [[1000], [-1], [[1], [1000]], [[1], [-5]], [], [[]], ["a"], "a", [1.5], {"a": 1}])
def test_a_prompt_of_ids_is_of_the_vocabularys(ids: Any) -> None:
    for table in (NATIVE, ENCODE):
        refused(table, {"input_ids": ids})
    refused(VERTEX, {"instances": [{"input_ids": ids}]})
    refused(VERTEX, {"instances": [{"input_ids": [1]}, {"input_ids": ids}]})


def test_embeddings_of_the_clients_own_are_refused() -> None:
    for table in (NATIVE, ENCODE):
        assert "ends SGLang" in refused(table, {"input_embeds": [[0.5]]})
    refused(VERTEX, {"instances": [{"input_embeds": [[0.5]]}]})


@pytest.mark.parametrize("params", PARAMS, ids=json.dumps)
def test_a_sampling_parameter_that_does_harm_is_refused(params: dict[str, Any]) -> None:
    for table, body in sampling(params):
        refused(table, body)


@pytest.mark.parametrize("given", [5, "a", [5], [[]]])
def test_sampling_parameters_are_objects(given: Any) -> None:
    refused(NATIVE, {"text": "a", "sampling_params": given})


@pytest.mark.parametrize("body", [{"instances": 5}, {"instances": ["a"]}, {"instances": [{}], "parameters": []},
                                  {"instances": [{"text": 5}]}, {"instances": [{"text": "a"}, {"input_ids": [1]}]},
                                  {"instances": [{"text": "a"}] * 4},
                                  {"instances": [{"text": "a"}], "parameters": {"text": "b"}}])  # fmt: skip
def test_vertex_requests_of_another_shape_are_refused(body: dict[str, Any]) -> None:
    refused(VERTEX, body)


def test_an_answer_is_no_longer_than_the_operator_allows() -> None:
    for table, body in sampling({"max_new_tokens": 5000, "temperature": 0}):
        assert '"max_new_tokens":100' in json.dumps(edit(table, body), separators=(",", ":"))
    assert edit(NATIVE, {"text": "a"})["sampling_params"] == {"max_new_tokens": 100}
    assert edit(NATIVE, {"text": "a"}, Policy()) == {"text": "a"}
    endless = {"text": "a", "sampling_params": {"max_new_tokens": None}}
    assert edit(NATIVE, endless, Policy()) == endless
    assert edit(NATIVE, endless)["sampling_params"] == {"max_new_tokens": 100}


def test_more_prompts_than_vllm_takes_are_refused() -> None:
    refused(NATIVE, {"text": ["a"] * 4})
    refused(NATIVE, {"input_ids": [[1]] * 4})


def test_what_does_no_harm_passes_byte_for_byte() -> None:
    body = {
        "input_ids": [1, 2], "stream": True, "return_logprob": True, "logprob_start_len": 0, "top_logprobs_num": 2,
        "token_ids_logprob": [1, 2], "lora_path": "noisy", "priority": 1, "return_text_in_logprobs": True,
        "sampling_params": {"max_new_tokens": 5, "n": 2, "stop": ["a"], "regex": "a+", "temperature": 0.5,
                            "stop_token_ids": [5], "logit_bias": {"5": 1.0}, "top_k": -1, "sampling_seed": 5},
    }  # fmt: skip
    sent = json.dumps(body).encode()
    assert Editor(bound(NATIVE, Recorded()), frozenset(), POLICY)(sent) is sent


def test_a_number_with_a_point_is_a_whole_one_to_the_scheduler() -> None:
    sent = edit(NATIVE, {"text": "a", "sampling_params": {"max_new_tokens": 5.0, "top_k": "7"}})
    assert sent["sampling_params"] == {"max_new_tokens": 5, "top_k": 7}


@pytest.mark.parametrize("top_k", [1000, 2**31, 2**40, 1e30])
def test_all_of_the_vocabulary_is_no_top_k(top_k: float) -> None:
    """2**31 in a tensor of 32 bits ends the scheduler."""
    for table, body in sampling({"top_k": top_k}):
        assert '"top_k": -1' in json.dumps(edit(table, body))
    assert edit(OLLAMA, {"options": {"top_k": top_k}})["options"]["top_k"] == -1
    sent = edit(NATIVE, {"text": "a", "sampling_params": {"top_k": 2**30}}, Policy())
    assert sent["sampling_params"] == {"top_k": -1}


@pytest.mark.parametrize(
    ("name", "given", "sent"),
    [("temperature", 1e300, 1e6), ("top_p", 1e-300, 1e-6), ("repetition_penalty", 1e-300, 0.01)],
)
def test_what_is_nothing_or_endless_in_32_bits_is_sent_as_the_nearest_that_is_not(
    name: str, given: float, sent: float
) -> None:
    assert edit(NATIVE, {"text": "a", "sampling_params": {name: given}}, Policy())["sampling_params"] == {name: sent}


LISTS: dict[str, list[Any]] = {
    "rid": ["a", "b"],
    "lora_path": [None, "noisy"],
    "return_logprob": [True, False],
    "logprob_start_len": [0, -1],
    "top_logprobs_num": [1, 0],
    "token_ids_logprob": [[1], []],
    "return_hidden_states": [False, "last"],
    "return_sampling_mask": [True, False],
    "sampling_logprobs_mode": [None, "selected"],
    "extra_key": ["a", "b"],
    "cache_salt": ["a", "b"],
    "sampling_params": [{"max_new_tokens": 3}, {"max_new_tokens": 4, "top_k": 5}],
}


def test_each_list_of_sglangs_is_counted() -> None:
    assert set(LISTS) == {*PER_PROMPT, "token_ids_logprob"}


@pytest.mark.parametrize("name", LISTS)
def test_a_list_is_of_as_many_as_there_are_prompts(name: str) -> None:
    """One for a single prompt ends the scheduler, and one too short is SGLang's 500."""
    given = LISTS[name]
    for two in ({"text": ["a", "b"]}, {"input_ids": [[1], [2, 3]]}):
        sent = edit(NATIVE, {**two, name: given})
        if name != "rid":  # A client's ids are not SGLang's.
            assert sent[name] == given
        assert "must have one item for each of 2 prompts" in refused(NATIVE, {**two, name: given[:1]})
        assert "must have one item for each of 2 prompts" in refused(NATIVE, {**two, name: given * 2})
    for one in ({"text": "a"}, {"input_ids": [1, 2]}):
        assert "must not be a list" in refused(NATIVE, {**one, name: given[:1]})
        assert "must not be a list" in refused(NATIVE, {**one, name: given})
    parameters = {name: given}
    assert edit(VERTEX, {"instances": [{"text": "a"}, {"text": "b"}], "parameters": parameters})
    refused(VERTEX, {"instances": [{"text": "a"}], "parameters": parameters})


def test_media_of_several_prompts_are_of_each() -> None:
    two = {"text": ["a", "b"]}
    data = "data:,"
    for name in ("image_data", "video_data", "audio_data"):
        assert edit(NATIVE, {**two, name: [data, data]})[name] == [data, data]
        assert name not in edit(NATIVE, {**two, name: []})
        refused(NATIVE, {**two, name: [data]})
        assert edit(NATIVE, {"text": "a", name: [data, data, data]})[name]
    refused(NATIVE, {**two, "modalities": ["image"]})


@pytest.mark.parametrize("body", [{"text": []}, {"text": 5}, {"text": [5]}, {"text": [["a", "b"]]},
                                  {"text": "a", "input_ids": [1]}])  # fmt: skip
def test_a_prompt_is_a_text_or_ids(body: dict[str, Any]) -> None:
    refused(NATIVE, body)
    refused(ENCODE, body)


def test_pairs_are_for_a_cross_encoder_and_nothing_else_is() -> None:
    pairs = {"text": [["a", "b"], ["c", ""]], "is_cross_encoder_request": True}
    assert edit(ENCODE, pairs) == pairs
    refused(ENCODE, {**pairs, "text": ["a"]})
    refused(ENCODE, {**pairs, "text": [["a"]]})
    refused(ENCODE, {**pairs, "text": [["a", "b"], "c"]})
    refused(ENCODE, {**pairs, "rid": ["a"]})
    assert "rid must be a list" in refused(ENCODE, {**pairs, "rid": "a"})
    assert edit(ENCODE, {"image_data": [["data:,"], ["data:,"]], "rid": ["a", "b"]})["image_data"]
    refused(ENCODE, {"image_data": ["data:,", "data:,"], "rid": ["a", "b"]})


def test_labels_of_metrics_are_the_operators() -> None:
    """One that SGLang's metrics have not is an exception that no request survives."""
    assert edit(NATIVE, {"text": "a", "custom_labels": {"a": "b"}}, Policy()) == {"text": "a"}
    assert "custom_labels" not in edit(COMPLETIONS, {"prompt": "a", "custom_labels": {"a": "b"}})


def test_a_chat_has_no_list_of_adapters() -> None:
    hi = [{"role": "user", "content": "hi"}]
    assert edit(CHAT, {"messages": hi, "lora_path": "noisy"})["lora_path"] == "noisy"
    for table, body in ((CHAT, {"messages": hi}), (COMPLETIONS, {"prompt": "a"}), (COMPLETIONS, {"prompt": ["a"]})):
        for path in ([None], ["noisy"], [None, None]):
            assert "one adapter's name" in refused(table, {**body, "lora_path": path})
    assert edit(COMPLETIONS, {"prompt": ["a", "b"], "lora_path": [None, "noisy"]})["lora_path"] == [None, "noisy"]


@pytest.mark.parametrize("rid", ["", "a", "0123456789abcdef0123456789abcdef"])
def test_no_id_of_a_clients_is_the_beginning_of_anothers(rid: str) -> None:
    for table, body in ((NATIVE, {"text": "a", "rid": rid}), (ENCODE, {"text": "a", "rid": rid})):
        one, other = edit(table, body)["rid"], edit(table, body)["rid"]
        assert re.fullmatch(re.escape(rid) + "-[0-9a-f]{16}", one)
        assert one != other
    assert all(
        re.fullmatch("[ab]-[0-9a-f]{16}", one) for one in edit(NATIVE, {"text": ["a", "b"], "rid": ["a", "b"]})["rid"]
    )
    sent = edit(VERTEX, {"instances": [{"text": "a"}], "parameters": {"rid": rid}})
    assert sent["parameters"]["rid"].startswith(f"{rid}-")


def test_what_nobody_knows_goes_no_further() -> None:
    assert edit(NATIVE, {"text": "a", "nobody": 1}, Policy()) == {"text": "a"}
    sent = edit(
        VERTEX, {"instances": [{"text": "a", "rid": "x"}], "parameters": {"nobody": 1, "stream": False}}, Policy()
    )
    assert sent == {"instances": [{"text": "a"}], "parameters": {"stream": False}}


def test_ids_to_be_told_as_text_are_of_the_vocabularys() -> None:
    refused(DETOKENIZE, {"tokens": [1000]})
    refused(DETOKENIZE, {"tokens": [[1], [-1]]})
    assert edit(DETOKENIZE, {"tokens": [1, 2]}) == {"tokens": [1, 2]}


@pytest.mark.parametrize(
    ("table", "flag", "field"),
    [(CALLS_PARSED, "--tool-call-parser", "tool_call_parser"),
     (REASONING_PARSED, "--reasoning-parser", "reasoning_parser")],
)  # fmt: skip
def test_a_text_is_taken_apart_by_a_parser_that_there_is(table: Table, flag: str, field: str) -> None:
    known = next(each["choices"] for each in CATALOG["flags"] if each["name"] == flag)
    for parser in set(known) - {"auto"}:
        assert edit(table, {"text": "a", field: parser}) == {"text": "a", field: parser}
    for wrong in ({}, {field: None}, {field: "nope"}, {field: ["qwen3"]}, {field: "auto"}):
        refused(table, {"text": "a", **wrong})


def test_ollamas_clients_name_a_model_that_is_served() -> None:
    assert edit(OLLAMA, {"model": "smollm2-135m", "prompt": "a"})["model"] == "smollm2-135m"
    with pytest.raises(Refused) as caught:
        edit(OLLAMA, {"model": "nope", "prompt": "a"})
    assert caught.value.response.status_code == 404
    assert "not served on this route" in refused(OLLAMA, {"model": "noisy", "prompt": "a"})
    assert "must not be empty" in refused(OLLAMA, {"model": "smollm2-135m", "messages": []})


def test_ollamas_options_are_held_to_the_same() -> None:
    for options in ({"num_predict": -1}, {"temperature": "hot"}, {"stop": 5}, {"top_k": 1.5}):
        refused(OLLAMA, {"options": options})
    assert edit(OLLAMA, {"options": {"seed": 1, "num_predict": 5000}})["options"] == {"num_predict": 100}
    assert edit(OLLAMA, {"options": {"seed": 1, "num_predict": 5}})["options"] == {"num_predict": 5}
