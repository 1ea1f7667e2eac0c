"""/v1/messages and its counting over an engine that is asked for a chat: every request through the table of chat once,
and answers, streams and errors as vLLM 0.33.0 tells them to Anthropic's clients.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from middleware.policy import Policy
from tests.middleware.endpoints.sglang import GENERATES, NAME, Sglang, behind
from tests.middleware.endpoints.test_recorded_routes import tokenized
from tests.middleware.serving import Served, middleware

CHAT = "/v1/chat/completions"
HI = [{"role": "user", "content": "hi"}]
ASK: dict[str, Any] = {"model": NAME, "messages": HI, "max_tokens": 5}
TOOL = {"name": "f", "input_schema": {"type": "object", "properties": []}, "strict": None}
PARSES = Policy()
TEMPLATE = """\
{%- for message in messages %}[{{ message.role }}]{{ message.reasoning }}{{ message.content }}
{%- endfor %}{% for tool in tools or [] %}<{{ tool.function.name }}>{% endfor %}{{ enable_thinking }}"""


def answered(message: dict[str, Any] | None = None, **choice: Any) -> dict[str, Any]:
    said = {"role": "assistant", "content": "Hello", "reasoning_content": None, "tool_calls": None, **(message or {})}
    choices = [{"index": 0, "message": said, "logprobs": None, "finish_reason": "stop", "matched_stop": 2, **choice}]
    details = {"cached_tokens": 30, "image_tokens": 0, "audio_tokens": 0, "video_tokens": 0}
    usage = {"prompt_tokens": 37, "total_tokens": 45, "completion_tokens": 8, "prompt_tokens_details": details}
    return {"id": "x", "object": "chat.completion", "created": 1, "model": NAME, "choices": choices, "usage": usage}


def call(arguments: str) -> dict[str, Any]:
    function = {"name": "f", "arguments": arguments}
    return {"content": None, "tool_calls": [{"id": "call_" + "0" * 24, "index": 0, "type": "function",
                                             "function": function}]}  # fmt: skip


def told(message: dict[str, Any] | None = None, *, policy: Policy = PARSES, asked: Any = (), **choice: Any) -> Any:
    with behind(Sglang(answers={CHAT: answered(message, **choice)}), policy=policy) as front:
        return front.post("/v1/messages", json={**ASK, **dict(asked)}).json()


@pytest.fixture(scope="module")
def sglang() -> Sglang:
    return Sglang(answers={CHAT: answered(), "/tokenize": tokenized})


@pytest.fixture(scope="module")
def front(sglang: Sglang) -> Iterator[Served]:
    with behind(sglang) as one:
        yield one


def sent(sglang: Sglang, front: Served, **body: Any) -> Any:
    sglang.asked.clear()
    answer = front.post("/v1/messages", json={**ASK, **body})
    assert answer.status_code == 200, answer.text
    [chat] = sglang.of(CHAT)
    return chat


def refused(front: Served, path: str = "/v1/messages", **body: Any) -> tuple[int, Any]:
    answer = front.post(path, json={**ASK, **body})
    assert answer.status_code >= 400
    return answer.status_code, answer.json()


def test_a_message_is_vllms() -> None:
    message = told()
    assert re.fullmatch("chatcmpl-[0-9a-f]{16}", message.pop("id"))
    assert message == {
        "type": "message", "role": "assistant", "content": [{"type": "text", "text": "Hello"}], "model": NAME,
        "stop_reason": "end_turn", "usage": {"input_tokens": 37, "output_tokens": 8},
    }  # fmt: skip


def test_what_was_cached_is_told_once() -> None:
    usage = told(policy=Policy(prompt_tokens_details=True))["usage"]
    assert usage == {
        "input_tokens": 7, "output_tokens": 8, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 30,
    }  # fmt: skip


def test_thoughts_come_first_and_signed() -> None:
    thought, text = told({"reasoning_content": "hm"})["content"]
    assert re.fullmatch("[0-9a-f]{32}", thought.pop("signature"))
    assert (thought, text["text"]) == ({"type": "thinking", "thinking": "hm"}, "Hello")


def test_a_stop_sequence_is_named() -> None:
    message = told(matched_stop="END", asked={"stop_sequences": ["END"]})
    assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence", "END")


def test_a_call_is_a_block() -> None:
    message = told(call('{"a": 1}'), finish_reason="tool_calls", asked={"tools": [TOOL]})
    [block] = message["content"]
    assert re.fullmatch("chatcmpl-tool-[0-9a-f]{16}", block.pop("id"))
    assert block == {"type": "tool_use", "name": "f", "input": {"a": 1}}
    assert message["stop_reason"] == "tool_use"


def test_a_call_that_was_cut_off_is_an_error_as_in_vllm() -> None:
    error = told(call('{"a": "'), finish_reason="length", asked={"tools": [TOOL]})["error"]
    assert error["type"] == "invalid_request_error"
    assert error["message"].startswith("Unterminated string")


def test_an_empty_answer_has_a_block_all_the_same() -> None:
    assert told({"content": ""})["content"] == [{"type": "text", "text": ""}]


def test_the_chat_has_all_that_the_message_had(sglang: Sglang, front: Served) -> None:
    kwargs = {"enable_thinking": False}
    chat = sent(sglang, front, cache_salt="tenant", chat_template_kwargs=kwargs, stop_sequences=["x"], top_k=0)
    assert (chat["cache_salt"], chat["chat_template_kwargs"], chat["stop"]) == ("tenant", kwargs, ["x"])
    assert chat["top_k"] == -1
    assert chat["max_completion_tokens"] == 5


def test_tools_that_are_no_schema_are_repaired_and_nulls_left_out(sglang: Sglang, front: Served) -> None:
    chat = sent(sglang, front, tools=[TOOL], tool_choice={"type": "auto", "disable_parallel_tool_use": None})
    [tool] = chat["tools"]
    assert tool["function"] == {"name": "f", "parameters": {"type": "object", "properties": {}}}
    assert chat["tool_choice"] == "auto"


def test_adaptive_thinking_asks_for_nothing(sglang: Sglang, front: Served) -> None:
    asked = sent(sglang, front)
    adaptive = sent(sglang, front, thinking={"type": "adaptive"})
    assert {**asked, "rid": ""} == {**adaptive, "rid": ""}


def test_an_id_of_the_clients_is_the_messages(front: Served) -> None:
    answer = front.post("/v1/messages", json=ASK, headers={"x-request-id": "mine"})
    assert answer.json()["id"] == "chatcmpl-mine"


@pytest.mark.parametrize(
    ("body", "status", "kind", "words"),
    [
        ({"model": "nope"}, 404, "not_found_error", "The model `nope` does not exist."),
        ({"messages": []}, 400, "invalid_request_error", "empty conversation"),
        ({"stop_sequences": [""]}, 400, "invalid_request_error", "stop cannot contain an empty string."),
        ({"cache_salt": "a/b"}, 400, "invalid_request_error", "must not contain"),
        ({"temperature": 3}, 400, "invalid_request_error", "temperature must be in [0, 2]"),
        ({"max_tokens": 9999}, 400, "invalid_request_error", "cannot be greater than max_model_len=2048"),
        (
            {"max_tokens": 2000, "thinking": {"type": "enabled", "budget_tokens": 1024}},
            400, "invalid_request_error", "thinking_token_budget is set but reasoning_config is not configured",
        ),
        (
            {"messages": [{"role": "user", "content": [
                {"type": "image", "source": {"type": "url", "url": "file:///etc/passwd"}}]}]},
            400, "invalid_request_error", "Cannot load local files",
        ),
    ],
)  # fmt: skip
def test_what_the_chat_refuses_is_told_in_anthropics_envelope(
    front: Served, body: dict[str, Any], status: int, kind: str, words: str
) -> None:
    answered, told = refused(front, **body, stream=True)
    assert (answered, told["type"], told["error"]["type"]) == (status, "error", kind)
    assert words in told["error"]["message"]


def test_what_does_not_fit_the_schema_is_told_as_everywhere(front: Served) -> None:
    for path in ("/v1/messages", "/v1/messages/count_tokens"):
        status, told = refused(front, path, messages=5)
        assert (status, told["error"]["code"], told["error"]["type"]) == (400, 400, "Bad Request")
        assert told["error"]["param"] == "body.messages"
    answer = front.post("/v1/messages", content=b"{", headers={"content-type": "application/json"})
    assert answer.json()["error"]["param"] == "body.1"


def test_a_budget_that_cannot_be_kept_is_refused() -> None:
    thinking = {"type": "enabled", "budget_tokens": 1024}
    with behind(Sglang(answers={CHAT: answered()}), policy=Policy(reasoning_parser=True)) as front:
        status, told = refused(front, max_tokens=2000, thinking=thinking)
    assert (status, told["error"]["type"]) == (400, "invalid_request_error")


@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_that_is_too_long_is_400_streamed_or_not(stream: bool) -> None:
    words = "The input (2100 tokens) is longer than the model's context length (2048 tokens)."
    refusal = (400, {"object": "error", "message": words, "type": "BadRequestError", "param": None, "code": 400})
    with behind(Sglang(answers={CHAT: refusal})) as front:
        status, told = refused(front, stream=stream)
    assert (status, told["error"]["type"]) == (400, "invalid_request_error")
    assert "maximum context length is 2048 tokens" in told["error"]["message"]


def test_an_answer_longer_than_the_room_is_made_shorter_in_a_stream_too() -> None:
    words = (
        "Requested token count exceeds the model's maximum context length of 2048 tokens. You requested a total of "
        "2100 tokens: 100 tokens from the input messages and 2000 tokens for the completion. Please reduce the number "
        "of tokens in the input messages or the completion to fit within the limit."
    )

    def room(body: dict[str, Any]) -> Any:
        return answered() if body["max_completion_tokens"] <= 1948 else (400, {"message": words, "code": 400})

    sglang = Sglang(answers={CHAT: room})
    with behind(sglang) as front:
        assert front.post("/v1/messages", json={**ASK, "max_tokens": 2000}).status_code == 200
    assert [body["max_completion_tokens"] for body in sglang.of(CHAT)] == [2000, 1948]


def test_a_stream_is_told_event_by_event(engine: Served) -> None:
    with middleware(engine.port, policy=Policy(request_id_headers=True), served_model_names=("m",)) as front:
        body = {**ASK, "model": "m", "stream": True}
        with front.client.stream("POST", "/v1/messages", json=body) as answer:
            assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
            assert len(answer.headers.get_list("x-request-id")) == 1
            events = [json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: ")]
    assert [events[0]["type"], events[-2]["type"], events[-1]["type"]] == [
        "message_start", "message_delta", "message_stop",
    ]  # fmt: skip
    assert events[-2]["usage"]["output_tokens"] == 5


def test_a_stream_that_the_engine_breaks_off_ends_with_an_error(engine: Served) -> None:
    headers = {"x-standin": "cut-after=3"}
    with middleware(engine.port, served_model_names=("m",)) as front:
        answer = front.post("/v1/messages", json={**ASK, "model": "m", "stream": True}, headers=headers)
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    assert [event["type"] for event in events[-2:]] == ["content_block_stop", "error"]
    assert events[-1]["error"]["type"] == "api_error"


def test_fields_that_the_operator_strips_are_stripped(sglang: Sglang) -> None:
    with behind(sglang, strip_params=frozenset({"thinking", "top_k", "max_tokens"})) as front:
        chat = sent(sglang, front, top_k=5, thinking={"type": "enabled", "budget_tokens": 1024}, max_tokens=2000)
    assert "top_k" not in chat


def test_a_request_of_too_many_objects_is_not_read(front: Served) -> None:
    body = b'{"model":"m","max_tokens":5,"messages":[' + b"[]," * 500_000 + b"[]]}"
    answer = front.post("/v1/messages", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sglang, Served]]:
    """Over an engine whose model has files, so that prompts are rendered here."""
    folder: Path = tmp_path_factory.mktemp("model")
    (folder / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": TEMPLATE}))
    info = {**GENERATES, "model_path": str(folder), "tokenizer_path": str(folder)}

    def characters(body: dict[str, Any]) -> Any:
        prompt = body["prompt"]
        if isinstance(prompt, str):
            return {"tokens": [*prompt.encode()], "count": 1}
        return {"tokens": [[*text.encode()] for text in prompt], "count": [1]}

    sglang = Sglang(answers={CHAT: answered(), "/tokenize": characters}, info=info)
    with behind(sglang, policy=Policy(model_path=str(folder))) as front:
        yield sglang, front


def prompt(shown: tuple[Sglang, Served], **body: Any) -> str:
    chat = sent(*shown, **body)
    text = bytes(chat["input_ids"]).decode()
    counted = shown[1].post("/v1/messages/count_tokens", json={**ASK, **body}).json()
    count = len(chat["input_ids"])
    assert counted == {"input_tokens": count, "context_management": {"original_input_tokens": count}}
    return text


def test_the_prompt_is_vllms_and_so_is_its_count(shown: tuple[Sglang, Served]) -> None:
    said = [
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "c"}]},
    ]
    system = [{"type": "text", "text": text} for text in ("x-anthropic-billing-header: 1", "s", "t")]
    assert prompt(shown, messages=said, system=system) == "[system]st[user]a\nb[assistant]hmc"
    assert prompt(shown, messages=said[1:], tools=[TOOL]) == "[assistant]hmc<f>"


def test_a_template_that_knows_no_efforts_is_told_the_least_of_them(shown: tuple[Sglang, Served]) -> None:
    """This one tells an effort from none, so that no thoughts are no effort."""
    assert prompt(shown, thinking={"type": "disabled"}) == "[user]hiFalse"
    assert prompt(shown, output_config={"effort": "high"}) == "[user]hiTrue"


def test_a_count_of_too_much_is_refused_as_the_message_would_be(shown: tuple[Sglang, Served]) -> None:
    long = [{"role": "user", "content": [{"type": "text", "text": "x" * 1500}] * 2}]
    for path in ("/v1/messages", "/v1/messages/count_tokens"):
        status, told = refused(shown[1], path, messages=long)
        assert (status, told["error"]["type"]) == (400, "invalid_request_error")
        assert "maximum context length is 2048 tokens" in told["error"]["message"]


def test_a_count_for_a_model_that_is_not_served_is_404(front: Served) -> None:
    status, told = refused(front, "/v1/messages/count_tokens", model="nope")
    assert (status, told["error"]["type"]) == (404, "not_found_error")
