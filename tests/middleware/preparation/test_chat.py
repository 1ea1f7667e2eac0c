"""Chats whose prompts SGLang would make otherwise than vLLM: SGLang is sent the ids that vLLM would show the model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from middleware.policy import Policy
from middleware.preparation.cut import RESERVED
from tests.middleware.endpoints.sglang import behind
from tests.middleware.preparation.engine import (
    CHAT,
    CONTEXT,
    SHOWN_TOOL,
    TOKENIZE,
    TOOL,
    Asked,
    asking,
    model_folder,
    sglang,
)

HI = {"role": "user", "content": "hi"}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


def test_a_chat_that_both_show_alike_is_forwarded_as_it_came(asked: Asked) -> None:
    assert asked.chat(HI, temperature=0).status_code == 200
    assert asked.sent()["messages"] == [HI]
    assert "input_ids" not in asked.sent()
    assert not asked.engine.of(TOKENIZE)


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"tools": [TOOL]}, f"user:hi\n{SHOWN_TOOL}>"),
        ({"tools": [TOOL], "tool_choice": "none"}, f"user:hi\n{SHOWN_TOOL}>"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": t} for t in "ab"]}]}, "user:a\nb\n>"),
        ({"messages": [{"role": "developer", "content": "d"}, HI]}, "system:d\nuser:hi\n>"),
        ({"messages": [HI, {"role": "assistant", "content": "a"}]}, "user:hi\nassistant:a\n>"),
        ({"add_generation_prompt": False}, "user:hi\n"),
        ({"chat_template_kwargs": {"add_generation_prompt": False, "mood": "!"}}, "user:hi\n!>"),
        ({"add_special_tokens": True}, "\x01user:hi\n>\x02"),
        ({"truncate_prompt_tokens": 3}, "i\n>"),
        ({"truncate_prompt_tokens": 3, "truncation_side": "right"}, "use"),
        ({"truncate_prompt_tokens": 4, "add_special_tokens": True}, "\x01\n>\x02"),
        ({"truncate_prompt_tokens": 2, "add_special_tokens": True, "truncation_side": "right"}, "\x01u"),
    ],
)
def test_the_model_is_shown_what_vllm_would_show_it(asked: Asked, fields: dict[str, Any], shown: str) -> None:
    answer = asked.front.post(CHAT, json={"messages": [HI], **fields})
    assert answer.status_code == 200, answer.text
    assert asked.shown() == shown


def test_what_goes_on_with_a_message_ends_where_it_ends(asked: Asked) -> None:
    said = {"role": "assistant", "content": "I am"}
    assert asked.chat(HI, said, add_generation_prompt=False, continue_final_message=True).status_code == 200
    assert asked.shown() == "user:hi\nassistant:I am"
    assert "continue_final_message" not in asked.sent()


def test_sglang_is_told_what_it_makes_grammars_of_and_nothing_of_the_prompt(asked: Asked) -> None:
    kwargs = {"enable_thinking": False, "documents": [{"a": "b"}]}
    asked.chat(
        tools=[TOOL],
        tool_choice="required",
        reasoning_effort="low",
        chat_template_kwargs=kwargs,
        truncate_prompt_tokens=9,
        truncation_side="left",
    )
    sent = asked.sent()
    assert sent["tools"][0]["function"]["name"] == "f"
    assert (sent["tool_choice"], sent["reasoning_effort"]) == ("required", "low")
    assert sent["chat_template_kwargs"] == {"enable_thinking": False}
    assert sent["messages"] == [{"role": "user", "content": ""}]
    assert not {"truncate_prompt_tokens", "truncation_side", "add_generation_prompt"} & sent.keys()


def test_the_calls_of_the_history_are_still_counted(asked: Asked) -> None:
    said = {"role": "assistant", "content": None, "tool_calls": [CALL, CALL]}
    assert asked.chat(HI, said, {"role": "tool", "tool_call_id": "c", "content": "r"}, HI).status_code == 200
    calls = [call for message in asked.sent()["messages"] for call in message.get("tool_calls", ())]
    assert len(calls) == 2


def test_the_first_chunk_of_a_stream_has_the_prompts_ids(asked: Asked) -> None:
    answer = asked.chat(HI, stream=True, return_token_ids=True)
    chunks = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]
    assert chunks[0]["prompt_token_ids"] == asked.sent()["input_ids"]
    assert asked.shown() == "user:hi\n>"
    assert "return_input_ids_in_sglext" not in asked.sent()
    assert not any("prompt_token_ids" in chunk for chunk in chunks[1:])


def test_an_answer_no_longer_than_there_is_room_for_is_asked_for_at_once(asked: Asked) -> None:
    long = {"role": "developer", "content": "x" * (CONTEXT - 100)}
    assert asked.chat(long, HI, max_tokens=CONTEXT, max_completion_tokens=5).status_code == 200
    assert asked.sent()["max_tokens"] == CONTEXT - len(asked.sent()["input_ids"])
    assert asked.sent()["max_completion_tokens"] == 5


@pytest.mark.parametrize(
    ("missing", "param", "words"),
    [
        (0, "max_tokens", "max_tokens must be at least 1, got 0. (parameter=max_tokens, value=0)"),
        (-1, "input_tokens", f"However, your prompt contains at least {CONTEXT + 1} input tokens, which exceeds this"),
    ],
)
def test_a_prompt_that_is_too_long_is_refused_in_vllms_words(
    asked: Asked, missing: int, param: str, words: str
) -> None:
    around = len("system:\nuser:hi\n>")
    answer = asked.chat({"role": "developer", "content": "x" * (CONTEXT - missing - around)}, HI)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert words in answer.json()["error"]["message"]
    assert not asked.engine.of(CHAT)


def test_a_cut_as_long_as_the_context_leaves_the_room_that_sglang_asks_for(asked: Asked) -> None:
    assert asked.chat({"role": "user", "content": "x" * 5000}, truncate_prompt_tokens=-1).status_code == 200
    assert len(asked.sent()["input_ids"]) == CONTEXT - RESERVED


def test_a_cut_longer_than_the_context_or_to_nothing_is_refused(asked: Asked) -> None:
    error = asked.chat(truncate_prompt_tokens=CONTEXT + 1).json()["error"]
    assert error["param"] == "truncate_prompt_tokens"
    assert error["message"].startswith("truncate_prompt_tokens=2049 cannot be greater than max_model_len = 2048. ")
    assert asked.chat(truncate_prompt_tokens=0).json()["error"]["message"] == "The decoder prompt cannot be empty"


def test_a_long_conversation_is_rendered_like_a_short_one(asked: Asked) -> None:
    assert asked.chat(*[HI] * 2000, {"role": "developer", "content": ""}, truncate_prompt_tokens=4).status_code == 200
    assert asked.shown() == "hi\n>"


@pytest.mark.parametrize("header", ["x-anthropic-billing-header: v1", "\\u0078-anthropic-billing-header: v1"])
def test_a_long_text_is_looked_at_as_far_as_it_says_who_renders(header: str, asked: Asked) -> None:
    """Which vLLM leaves out of a system's message, written in whatever way."""
    plain = {"role": "system", "content": "a" * 100_000}
    asked.chat(plain, HI)
    assert asked.sent()["messages"] == [plain, HI]
    assert not asked.engine.of(TOKENIZE)
    body = json.dumps({"messages": [{"role": "system", "content": "HEADER\n" + "a" * 100_000}, HI]})
    content = body.replace("HEADER", header)
    asked.front.post(CHAT, content=content, headers={"content-type": "application/json"})
    assert len(asked.engine.of(TOKENIZE)) == 1


def test_what_the_template_refuses_is_refused_in_its_words(tmp_path: Path) -> None:
    template = "{% if tools %}{{ raise_exception('no tools here') }}{% endif %}{{ messages[0].content }}"
    with asking(model_folder(tmp_path, template)) as asked:
        answer = asked.chat(tools=[TOOL])
        assert (answer.status_code, answer.json()["error"]["message"]) == (400, "no tools here")
        assert asked.chat().status_code == 200


def test_a_clients_own_ids_are_cut_and_otherwise_left_alone(asked: Asked) -> None:
    asked.chat(input_ids=[5, 6, 7], add_generation_prompt=False)
    assert asked.sent()["input_ids"] == [5, 6, 7]
    assert asked.sent()["messages"] == [HI]
    assert "add_generation_prompt" not in asked.sent()
    asked.chat(input_ids=[5, 6, 7], truncate_prompt_tokens=2)
    assert asked.sent()["input_ids"] == [6, 7]


def test_a_prompt_with_media_is_left_to_sglang_and_what_it_would_not_heed_is_refused(asked: Asked) -> None:
    seen = {"role": "user", "content": [IMAGE]}
    assert asked.chat(seen, tools=[TOOL]).status_code == 200
    assert "input_ids" not in asked.sent()
    for fields in ({"add_generation_prompt": False}, {"truncate_prompt_tokens": 5}, {"add_special_tokens": True}):
        answer = asked.chat(seen, **fields)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, *fields)
    said = {"role": "assistant", "content": "a"}
    assert asked.chat(seen, said, add_generation_prompt=False, continue_final_message=True).status_code == 200
    assert asked.sent()["continue_final_message"] is True
    assert "add_generation_prompt" not in asked.sent()
    asked.chat(seen, chat_template_kwargs={"add_generation_prompt": False, "mood": "!"})
    assert asked.sent()["chat_template_kwargs"] == {"mood": "!"}


def test_what_strip_params_names_is_no_part_of_the_prompt(folder: Path) -> None:
    engine = sglang()
    policy = Policy(model_path=str(folder))
    with behind(engine, policy=policy, strip_params=frozenset({"tools"})) as front:
        assert Asked(front, engine).chat(tools=[TOOL]).status_code == 200
        assert "input_ids" not in engine.of(CHAT)[-1]


LAST = {"role": "assistant", "content": "The capital"}


def _deltas(answer: Any) -> list[dict[str, Any]]:
    lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: {")]
    return [choice["delta"] for line in lines for choice in json.loads(line)["choices"]]


def test_an_echo_is_the_last_message_before_what_goes_on_from_it(asked: Asked) -> None:
    fields = {"echo": True, "add_generation_prompt": False, "continue_final_message": True}
    assert asked.chat(HI, LAST, **fields).json()["choices"][0]["message"]["content"] == "The capitala"
    deltas = _deltas(asked.chat(HI, LAST, stream=True, **fields))
    assert deltas[:3] == [{"role": "assistant", "content": ""}, {"content": "The capital"}, {"content": "a"}]
    parts = {"role": "assistant", "content": [{"type": "text", "text": "x"}, {"type": "text", "text": "y"}]}
    assert asked.chat(HI, parts, echo=True).json()["choices"][0]["message"]["content"] == "x\nya"


def test_nobody_elses_message_is_echoed(asked: Asked) -> None:
    assert asked.chat(HI, echo=True).json()["choices"][0]["message"]["content"] == "a"
    assert _deltas(asked.chat(HI, echo=True, stream=True))[1] == {"content": "a"}


def test_the_prompts_text_is_told_whole_and_with_the_role(asked: Asked) -> None:
    assert asked.chat(HI, return_prompt_text=True).json()["prompt_text"] == "user:hi\n>"
    assert asked.chat(HI).json()["prompt_text"] is None
    answer = asked.chat(HI, return_prompt_text=True, stream=True)
    assert json.loads(answer.text.splitlines()[0][6:])["prompt_text"] == "user:hi\n>"


def test_the_text_of_a_prompt_that_sglang_renders_is_not_to_be_had(asked: Asked) -> None:
    answer = asked.chat({"role": "user", "content": [IMAGE]}, return_prompt_text=True)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "return_prompt_text")


def test_parts_of_the_newer_api_are_texts(asked: Asked) -> None:
    for kind in ("input_text", "output_text"):
        asked.chat({"role": "user", "content": [{"type": kind, "text": "hi"}]})
        assert asked.shown() == "user:hi\n>"


TOKENIZER = {
    "decoder": {"type": "ByteLevel"},
    "model": {"vocab": {"a": 64, "Ġb": 65, "Ċ": 66}},
    "added_tokens": [{"id": 2, "content": "<|end|>"}],
}


def _scored(body: Any) -> Any:
    """A stream of one token with log probabilities."""
    top = [{"token": "a", "bytes": [97], "logprob": -1.0}, {"token": " b", "bytes": [32, 98], "logprob": -2.0}]
    scores = {"content": [{**top[0], "top_logprobs": top}]}
    head = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    choice = {"index": 0, "delta": {"content": "a"}, "logprobs": scores, "finish_reason": None, "matched_stop": None}
    content = b"data: %b\n\ndata: [DONE]\n\n" % json.dumps({**head, "choices": [choice]}).encode()
    start = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    return start + b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content)


def test_a_streams_tokens_are_told_as_ids_by_their_bytes(folder: Path) -> None:
    (folder / "tokenizer.json").write_text(json.dumps(TOKENIZER))
    with asking(folder, sglang(**{CHAT: _scored})) as asked:
        answer = asked.chat(HI, stream=True, logprobs=True, top_logprobs=2, return_tokens_as_token_ids=True)
    [token] = json.loads(answer.text.splitlines()[0][6:])["choices"][0]["logprobs"]["content"]
    assert (token["token"], token["bytes"]) == ("token_id:64", [97])
    assert [top["token"] for top in token["top_logprobs"]] == ["token_id:64", "token_id:65"]
    assert bytes(token["top_logprobs"][1]["bytes"]) == b"token_id:65"


def test_without_a_tokenizer_of_bytes_a_stream_cannot_have_them(folder: Path) -> None:
    (folder / "tokenizer.json").write_text(json.dumps({**TOKENIZER, "decoder": {"type": "Metaspace"}}))
    with asking(folder) as asked:
        fields = {"logprobs": True, "return_tokens_as_token_ids": True}
        answer = asked.chat(HI, stream=True, **fields)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "return_tokens_as_token_ids")
        assert asked.chat(HI, **fields).status_code == 200


def test_a_stream_cannot_tell_the_versions_of_the_weights(asked: Asked) -> None:
    answer = asked.chat(HI, stream=True, return_weight_versions=True)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "return_weight_versions")


TOKENS = "/v1/chat/completions/tokens"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    with asking(model_folder(tmp_path_factory.mktemp("rl")), rl=True) as asked:
        yield asked


def test_a_chat_in_ids_is_a_chat_of_those_ids(trained: Asked) -> None:
    body = {"messages": [HI], "tokens": [7, 8], "return_token_ids": True, "max_tokens": 5}
    answer = trained.front.post(TOKENS, json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["prompt_token_ids"] == [7, 8]
    assert trained.sent()["input_ids"] == [7, 8]
    assert not trained.engine.of(TOKENIZE)
    streamed = trained.front.post(TOKENS, json={**body, "stream": True}).text.partition("\n")[0]
    assert json.loads(streamed.removeprefix("data: "))["prompt_token_ids"] == [7, 8]


def test_a_chat_in_ids_is_given_no_more_than_there_is_room_for(trained: Asked) -> None:
    ids = [7] * (CONTEXT - 10)
    assert trained.front.post(TOKENS, json={"messages": [HI], "tokens": ids, "max_tokens": 50}).status_code == 200
    assert trained.sent()["max_tokens"] == 10
    told = trained.front.post(TOKENS, json={"messages": [HI], "tokens": [7] * (CONTEXT + 1)}).json()["error"]
    assert told["message"].startswith(f"This model's maximum context length is {CONTEXT} tokens.")
    assert f"contains {CONTEXT + 1} input tokens" in told["message"]


def test_a_chat_in_ids_has_no_place_for_an_image(trained: Asked) -> None:
    body = {"messages": [{"role": "user", "content": [IMAGE]}], "tokens": [7]}
    told = trained.front.post(TOKENS, json=body)
    assert told.status_code == 400
    assert "image_url" in told.json()["error"]["message"]


def test_without_training_there_is_no_such_route(asked: Asked) -> None:
    assert asked.front.post(TOKENS, json={"messages": [HI], "tokens": [7]}).status_code == 404
