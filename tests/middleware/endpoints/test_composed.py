"""/invocations, batches of chats, generative scoring and the tokenizer: requests that become others, or several."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from middleware.policy import Policy
from tests.middleware.endpoints.policies import Switched
from tests.middleware.endpoints.sglang import EMBEDS, GENERATES, NAME, Sglang, behind
from tests.middleware.endpoints.test_recorded_routes import embedded, tokenized
from tests.middleware.serving import Served, middleware

HELLO = [{"role": "user", "content": "a"}]


@pytest.fixture(scope="module")
def over_recorded(engine: Served) -> Iterator[Served]:
    """Over the stand-in, which has whole answers of chats; ids on every answer."""
    with middleware(engine.port, policy=Policy(request_id_headers=True), served_model_names=("m",)) as front:
        yield front


def test_invocations_are_chats_or_completions(over_recorded: Served) -> None:
    chat = over_recorded.post("/invocations", json={"model": "m", "messages": HELLO})
    assert (chat.status_code, chat.json()["object"]) == (200, "chat.completion")
    completion = over_recorded.post("/invocations", json={"model": "m", "prompt": "a"})
    assert completion.json()["object"] == "text_completion"
    assert len(completion.headers.get_list("x-request-id")) == 1
    assert (
        over_recorded.post("/invocations", content=b"[]", headers={"content-type": "application/json"}).status_code
        == 400
    )


def test_a_stream_through_invocations_comes_as_a_stream(over_recorded: Served) -> None:
    with over_recorded.client.stream("POST", "/invocations", json={"messages": HELLO, "stream": True}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert list(answer.iter_lines())[-2] == "data: [DONE]"


def test_sagemakers_header_names_the_adapter(over_recorded: Served) -> None:
    headers = {"x-amzn-sagemaker-adapter-identifier": "nope"}
    answer = over_recorded.post("/invocations", json={"model": "m", "prompt": "a"}, headers=headers)
    assert answer.status_code == 404
    assert "`nope`" in answer.text


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"input": "a"}, "list"),
        ({"query": "a", "documents": ["b"]}, None),
        ({"text_1": "a", "text_2": "b"}, "list"),
        ({"nonsense": 1}, None),
    ],
)
def test_invocations_of_an_embedding_model(body: dict[str, Any], kind: str | None) -> None:
    with behind(Sglang(answers={"/v1/embeddings": embedded}, info=EMBEDS)) as front:
        answer = front.post("/invocations", json=body)
        assert answer.status_code == (400 if "nonsense" in body else 200)
        assert answer.json().get("object") == kind


def test_a_batch_has_one_choice_for_each_conversation(over_recorded: Served) -> None:
    body = {"model": "m", "messages": [HELLO, HELLO, HELLO], "stream": True, "request_id": "b"}
    answer = over_recorded.post("/v1/chat/completions/batch", json=body).json()
    assert answer["id"] == "chatcmpl-b"
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2]
    one = over_recorded.post("/v1/chat/completions", json={"model": "m", "messages": HELLO}).json()
    assert list(answer) == list(one)
    assert answer["usage"]["prompt_tokens"] == 3 * one["usage"]["prompt_tokens"]


def test_an_id_cannot_bring_a_request_of_its_own_along() -> None:
    engine = Sglang(info=GENERATES)
    ends = "a\r\ncontent-length: 0\r\n\r\n"
    smuggled = f"{ends}POST /flush_cache HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{{}}GET /x HTTP/1.1\r\nx: "
    with behind(engine, served_model_names=("m",)) as front:
        front.post("/v1/chat/completions/batch", json={"model": "m", "messages": [HELLO], "request_id": smuggled})
    assert "/v1/chat/completions" in [path for _, path, _ in engine.asked]
    assert "/flush_cache" not in [path for _, path, _ in engine.asked]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"n": 2}, "do not support `n > 1`"),
        ({"use_beam_search": True}, "do not support beam search"),
        ({"messages": []}, "at least 1 item"),
        ({"messages": [[]]}, "at least 1 item"),
        ({"model": "nope"}, "The model `nope` does not exist."),
    ],
)
def test_what_no_batch_may_ask(over_recorded: Served, change: dict[str, Any], words: str) -> None:
    answer = over_recorded.post("/v1/chat/completions/batch", json={"messages": [HELLO], **change})
    assert answer.status_code == (404 if "model" in change else 400)
    assert words in answer.json()["error"]["message"]


def scored(body: dict[str, Any]) -> dict[str, Any]:
    rows = [[0.75, 0.25] for _ in body["items"]]
    return {"scores": rows, "model": "x", "usage": {"prompt_tokens": 9}, "object": "scoring"}


def test_generative_scoring_is_the_first_labels_probability() -> None:
    engine = Sglang(answers={"/tokenize": tokenized, "/v1/score": scored})
    body = {"model": NAME, "query": "a", "items": ["hi", "Hello"], "label_token_ids": [5, 6]}
    with behind(engine, policy=Switched(vocab_size=49152)) as front:
        answer = front.post("/generative_scoring", json=body).json()
        assert [item["score"] for item in answer["data"]] == [0.75, 0.75]
        assert answer["id"].startswith("generative-scoring-")
        assert answer["usage"]["completion_tokens"] == 2
        assert engine.of("/v1/score")[0] == {
            "query": [81], "items": [[6004], [19556]], "label_token_ids": [5, 6], "apply_softmax": True,
            "item_first": False,
        }  # fmt: skip
        wrong: Any
        for wrong in ({"label_token_ids": []}, {"label_token_ids": [49152]}, {"items": []}, {"query": [-1]}):
            assert front.post("/generative_scoring", json=body | wrong).status_code == 400
        assert len(engine.of("/v1/score")) == 1


@pytest.mark.parametrize(("query", "items"), [("", [""]), ([], [[]]), ([], [[5], []]), ("", ["a", ""])])
def test_a_score_of_no_tokens_at_all_never_reaches_sglang(query: Any, items: Any) -> None:
    engine = Sglang(answers={"/tokenize": tokenized, "/v1/score": scored})
    with behind(engine, policy=Switched(vocab_size=49152)) as front:
        body = {"query": query, "items": items, "label_token_ids": [1]}
        answer = front.post("/generative_scoring", json=body)
        assert (answer.status_code, answer.json()["error"]["message"]) == (400, "The decoder prompt cannot be empty")
        assert front.post("/generative_scoring", json={**body, "query": [5]}).status_code == 200
    assert len(engine.of("/v1/score")) == 1


@pytest.fixture
def with_files(tmp_path: Path) -> Iterator[Served]:
    words = {"Hello": 19556, "Ġworld": 905}
    document = {"model": {"vocab": words}, "added_tokens": [{"id": 1, "content": "<|im_start|>"}]}
    (tmp_path / "tokenizer.json").write_text(json.dumps(document))
    settings = {"tokenizer_class": "T", "vocab_file": "/x/y", "eos_token": {"__type": "AddedToken", "content": "</s>"}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    (tmp_path / "chat_template.jinja").write_text("{{ messages }}")
    (tmp_path / "config.json").write_text('{"text_config": {"vocab_size": 20000}}')
    info = {**GENERATES, "model_path": str(tmp_path), "tokenizer_path": str(tmp_path)}
    with behind(Sglang(answers={"/tokenize": tokenized}, info=info), policy=Policy(tokenizer_info=True)) as front:
        yield front


def test_token_strings_are_the_tokenizers_own(with_files: Served) -> None:
    answer = with_files.post("/tokenize", json={"prompt": "Hello world", "return_token_strs": True}).json()
    assert answer["token_strs"] == ["Hello", "Ġworld"]
    assert answer["max_model_len"] == 2048


def test_the_tokenizers_settings_are_told_without_paths(with_files: Served) -> None:
    assert with_files.get("/tokenizer_info").json() == {
        "tokenizer_class": "T", "eos_token": "</s>", "chat_template": "{{ messages }}",
    }  # fmt: skip


def test_the_vocabulary_is_the_models_own(with_files: Served) -> None:
    body = {"query": [19999], "items": [[20000]], "label_token_ids": [1]}
    assert "20000 is out of vocabulary" in with_files.post("/generative_scoring", json=body).text


def test_what_the_models_files_do_not_hold_is_501() -> None:
    with behind(Sglang(answers={"/tokenize": tokenized}), policy=Policy(tokenizer_info=True)) as front:
        for answer in (
            front.get("/tokenizer_info"),
            front.post("/tokenize", json={"prompt": "a", "return_token_strs": True}),
        ):
            assert (answer.status_code, answer.json()["error"]["type"]) == (501, "NotImplementedError")


@pytest.mark.parametrize(
    ("tokens", "status"),
    [([5], 200), ([], 200), (["5"], 200), ([-1], 400), ([1.5], 400), ([1 << 33], 400), ([1 << 63], 400), ("a", 400)],
)
def test_which_ids_are_detokenized(tokens: Any, status: int) -> None:
    with behind(Sglang(answers={"/detokenize": {"text": "x"}})) as front:
        answer = front.post("/detokenize", json={"tokens": tokens})
        assert answer.status_code == status, answer.text


@pytest.mark.parametrize(("path", "name"), [("/detokenize", "tokens"), ("/generative_scoring", "label_token_ids")])
def test_a_list_of_anything_but_plain_ids_is_read_one_by_one_up_to_a_bound(path: str, name: str) -> None:
    engine = Sglang(answers={"/detokenize": {"text": "x"}, "/v1/score": scored})
    with behind(engine, policy=Switched(vocab_size=49152)) as front:
        body = {"query": [5], "items": [[6]]}
        item: Any
        for item in ("1", "x", [], None):
            answer = front.post(path, json={**body, name: [item] * 1_000_000})
            assert answer.status_code == 400
            words = answer.json()["error"]["message"]
            assert "plain token ids" in words or "more than 500000 lists" in words
        wrong = front.post(path, json={**body, name: ["x"] * 30_000}).json()["error"]
        assert wrong["message"].startswith("30000 validation errors:")
        assert wrong["message"].endswith("...and 29990 more errors")
        assert front.post(path, json={**body, name: ["5"] * 30_000}).status_code == 200
        many = list(range(40_000)) * 5
        assert front.post(path, json={**body, name: many}).status_code == 200
    asked = engine.of("/detokenize" if path == "/detokenize" else "/v1/score")
    assert [each[name] for each in asked] == [[5] * 30_000, many]


def test_a_chat_is_tokenized_as_a_chat_request_is_seen() -> None:
    engine = Sglang(answers={"/tokenize": tokenized})
    with behind(engine) as front:
        front.post("/tokenize", json={"messages": HELLO})
        assert engine.of("/tokenize")[0]["add_generation_prompt"] is True
        assert engine.of("/tokenize")[0]["add_special_tokens"] is False
        template = {"messages": HELLO, "chat_template": "{{ 1 }}"}
        assert front.post("/tokenize", json=template).status_code == 400
        image = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}]}]
        assert front.post("/tokenize", json={"messages": image}).status_code == 400
        assert len(engine.of("/tokenize")) == 1
