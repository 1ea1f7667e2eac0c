"""What becomes of SGLang's answer: ids beside their probabilities whole and in pieces, experts, ends and errors."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.middleware.endpoints.sglang import Sglang
from tests.middleware.inference.engine import (
    IDS,
    PATH,
    PROMPT,
    TEXTS,
    answer,
    chunks,
    generated,
    serving,
    streamed,
)
from tests.middleware.serving import Served

Front = tuple[Served, Sglang]


@pytest.fixture(scope="module")
def front() -> Iterator[Front]:
    with serving(prompt_tokens_details=True) as both:
        yield both


def ask(front: Front, sampling: dict[str, Any] | None = None, **fields: Any) -> Any:
    body = {"token_ids": PROMPT, "sampling_params": {"max_tokens": 3, **(sampling or {})}, **fields}
    told = front[0].client.post(PATH, json=body)
    assert told.status_code == 200, told.text
    return told.json() if not fields.get("stream") else chunks(told.text)


def pieces(body: dict[str, Any]) -> Any:
    """As --incremental-streaming-output has them: of each event what is new."""
    if not body.get("stream"):
        return answer(body)
    events = [answer(body, made) for made in range(1, 4)]
    for place, event in enumerate(events):
        event |= {"output_ids": [IDS[place]], "text": TEXTS[place]}
        for name in ("output_token_logprobs", "output_top_logprobs"):
            if name in event["meta_info"]:
                event["meta_info"][name] = event["meta_info"][name][place:]
    return streamed(*events)


def late(body: dict[str, Any]) -> Any:
    """A probability comes an event behind its token, as SGLang writes lists that grow meanwhile."""
    events = [answer(body, made) for made in (1, 2, 3)]
    for event in events[:-1]:
        event["meta_info"]["output_token_logprobs"].pop()
        event["meta_info"]["output_top_logprobs"].pop()
    return streamed(*events)


@pytest.mark.parametrize(
    ("how", "mode"),
    [(generated, "tokens"), (pieces, "tokens"), (late, "tokens"), (generated, "text"), (pieces, "text")],
)
def test_the_pieces_of_a_stream_are_the_whole(how: Any, mode: str) -> None:
    sampling = {} if mode == "text" else {"logprobs": 1}
    with serving(Sglang({"/generate": how})) as front:
        told = [each["choices"][0] for each in ask(front, sampling, stream=True, output_mode=mode)]
    assert [token for each in told for token in each["token_ids"]] == IDS[:3]
    if mode == "text":
        assert "".join(each["text"] for each in told) == "".join(TEXTS[:3])
    if sampling:
        assert [one["token_id"] for each in told for one in each["logprobs"]["content"]] == IDS[:3]
        assert all(one["logprob"] > -9999.0 for each in told for one in each["logprobs"]["content"])
    assert [each["finish_reason"] for each in told][-1] == "length"
    assert told[-1]["weight_versions"] == [{"version": "v3", "start": 0, "end": 3}]


def test_usage_comes_with_each_chunk_where_it_is_asked_for(front: Front) -> None:
    options = {"include_usage": True, "continuous_usage_stats": True}
    told = ask(front, stream=True, stream_options=options)
    assert [each["usage"]["completion_tokens"] for each in told] == [1, 2, 3, 3]
    assert told[-1]["choices"] == []
    assert told[-1]["usage"] == {
        "prompt_tokens": 5,
        "total_tokens": 8,
        "completion_tokens": 3,
        "prompt_tokens_details": {"cached_tokens": 4},
    }


def test_what_the_cache_had_is_told(front: Front) -> None:
    assert ask(front)["usage"]["prompt_tokens_details"]["cached_tokens"] == 4


def test_a_probability_is_finite_and_the_sampled_token_comes_first() -> None:
    def odd(body: dict[str, Any]) -> Any:
        told = answer(body)
        told["output_ids"] = [7, 8]
        told["meta_info"]["output_token_logprobs"] = [[None, 7, None], [-5.0, 8, None]]
        told["meta_info"]["output_top_logprobs"] = [[[-0.1, 9, None]], [[-0.1, 9, None]]]
        return told

    with serving(Sglang({"/generate": odd})) as front:
        content = ask(front, {"logprobs": 1})["choices"][0]["logprobs"]["content"]
    assert [(one["token"], one["logprob"], one["rank"]) for one in content] == [
        ("token_id:7", -9999.0, 2),
        ("token_id:8", -5.0, 2),
    ]
    assert [[top["token_id"] for top in one["top_logprobs"]] for one in content] == [[7, 9], [8, 9]]


def test_how_it_ended_and_by_what() -> None:
    def ends(body: dict[str, Any]) -> Any:
        told = answer(body)
        told["meta_info"]["finish_reason"] = {"type": "stop", "matched": body["sampling_params"]["stop_token_ids"][0]}
        return told

    with serving(Sglang({"/generate": ends})) as front:
        named = ask(front, {"stop_token_ids": [198]})["choices"][0]
    assert (named["finish_reason"], named["stop_reason"]) == ("stop", 198)


def test_several_choices_come_in_their_order_and_count_together() -> None:
    engine = Sglang({"/generate": lambda body: [answer(body), answer(body, 2), answer(body)]})
    with serving(engine) as front:
        told = ask(front, {"n": 3, "temperature": 1.0})
    assert [each["index"] for each in told["choices"]] == [0, 1, 2]
    assert [len(each["token_ids"]) for each in told["choices"]] == [3, 2, 3]
    assert told["usage"]["prompt_tokens"] == 5
    assert told["usage"]["completion_tokens"] == 8


def test_an_error_in_the_middle_of_a_stream_is_an_event_in_vllms_shape() -> None:
    def fails(body: dict[str, Any]) -> Any:
        end = answer(body, 2)
        end["meta_info"]["finish_reason"] = {"type": "abort", "message": "no memory", "status_code": 500}
        return streamed(answer(body, 1), end)

    with serving(Sglang({"/generate": fails})) as front:
        told = ask(front, stream=True)
    assert told[0]["choices"][0]["token_ids"] == IDS[:1]
    assert told[1]["error"]["code"] == 500


def test_an_aborted_answer_says_so() -> None:
    def aborted(body: dict[str, Any]) -> Any:
        told = answer(body, 2)
        told["meta_info"]["finish_reason"] = {"type": "abort", "message": "Aborted by user"}
        return told

    with serving(Sglang({"/generate": aborted})) as front:
        told = ask(front)["choices"][0]
    assert (told["finish_reason"], told["token_ids"]) == ("abort", IDS[:2])


@pytest.mark.parametrize("stream", [False, True])
def test_one_that_was_aborted_before_it_ran_is_told_like_any_other(stream: bool) -> None:
    """SGLang 0.5.23 does not tell the length of its prompt."""

    def aborted(body: dict[str, Any]) -> Any:
        told = answer(body, 0)
        del told["meta_info"]["prompt_tokens"]
        told["meta_info"] |= {"finish_reason": {"type": "abort"}, "output_token_logprobs": []}
        return streamed(told) if stream else told

    with serving(Sglang({"/generate": aborted})) as front:
        told = ask(front, stream=stream, **({"stream_options": {"include_usage": True}} if stream else {}))
    last = told[0] if stream else told
    assert (last["choices"][0]["finish_reason"], last["choices"][0]["token_ids"]) == ("abort", [])


def packed(numbers: list[int]) -> str:
    return base64.b64encode(struct.pack(f"<{len(numbers)}i", *numbers)).decode()


@pytest.mark.parametrize(("largest", "dtype", "form"), [(7, "uint8", "B"), (300, "uint16", "H"), (-1, "int32", "i")])
@pytest.mark.parametrize("start", [0, 5])
def test_experts_are_told_by_token_layer_and_rank(
    largest: int, dtype: str, form: str, start: int, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"num_experts_per_tok": 2, "vocab_size": 49152}))
    rows, layers = 5 + 3 - 1 - start, 3
    numbers = [largest if not place else place % 7 for place in range(rows * layers * 2)]
    engine = Sglang({"/generate": lambda body: with_experts(body, packed(numbers))})
    with serving(engine, routed_experts=True, model_path=str(tmp_path)) as front:
        told = ask(front, {"routed_experts_prompt_start": start})["choices"][0]["routed_experts"]
        asked = engine.of("/generate")[-1]
    assert (asked["return_routed_experts"], asked["routed_experts_start_len"]) == (True, start)
    assert {name: told[name] for name in ("shape", "start", "dtype")} == {
        "shape": [rows, layers, 2], "start": start, "dtype": dtype}  # fmt: skip
    assert list(struct.unpack(f"<{len(numbers)}{form}", base64.b64decode(told["data"]))) == numbers


def with_experts(body: dict[str, Any], data: str) -> Any:
    told = answer({**body, "return_routed_experts": False})
    told["meta_info"]["routed_experts"] = data
    return told


def test_experts_of_no_known_shape_are_not_told(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"num_experts_per_tok": 2, "vocab_size": 49152}))
    engine = Sglang({"/generate": lambda body: with_experts(body, packed([1, 2, 3]))})
    with serving(engine, routed_experts=True, model_path=str(tmp_path)) as front:
        assert ask(front)["choices"][0]["routed_experts"] is None


def test_experts_are_not_asked_of_a_server_that_has_none(front: Front) -> None:
    assert ask(front, {"routed_experts_prompt_start": 2})["choices"][0]["routed_experts"] is None
    assert "return_routed_experts" not in front[1].of("/generate")[-1]
