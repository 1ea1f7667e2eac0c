"""Embeddings, classes and scores: what SGLang is asked, and what its answers become beyond the recordings."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import struct
import threading
from typing import Any

import pytest

from tests.middleware.endpoints.policies import Switched
from tests.middleware.endpoints.sglang import EMBEDS, NAME, SCORES, Sglang, behind
from tests.middleware.endpoints.test_recorded_routes import embedded, tokenized
from tests.middleware.serving import PATIENCE, Served, middleware
from tests.middleware.upstreams import hostile
from tests.middleware.wire import head_of

NUMBERS = (1.0, -2.5, 0.1, 65536.0)
FILE = "file:///etc/passwd"
IMAGE = {"type": "image_url", "image_url": {"url": FILE}}


def vectors(body: dict[str, Any]) -> dict[str, Any]:
    vector = base64.b64encode(struct.pack("<4f", *NUMBERS)).decode()
    data = [{"embedding": vector, "index": at} for at in range(len(body["input"]))]
    return {"data": data, "usage": {"prompt_tokens": 3}}


def embedder(answer: Any = embedded, **policy: Any) -> Any:
    engine = Sglang(answers={"/tokenize": tokenized, "/v1/embeddings": answer}, info=EMBEDS)
    return engine, behind(engine, policy=Switched(**policy))


@pytest.mark.parametrize(
    ("dtype", "endianness", "form"),
    [
        ("float32", "little", "<4f"),
        ("float32", "big", ">4f"),
        ("float16", "little", "<4e"),
        ("float16", "big", ">4e"),
    ],
)
@pytest.mark.parametrize("encoding", ["base64", "bytes_only"])
def test_a_vector_is_written_as_asked(encoding: str, dtype: str, endianness: str, form: str) -> None:
    body = {"input": "a", "encoding_format": encoding, "embed_dtype": dtype, "endianness": endianness}
    with embedder(vectors)[1] as front:
        answer = front.post("/v1/embeddings", json=body)
    written = answer.content if encoding == "bytes_only" else base64.b64decode(answer.json()["data"][0]["embedding"])
    infinite = (*NUMBERS[:3], float("inf")) if form.endswith("e") else NUMBERS
    assert struct.unpack(form, written) == pytest.approx(infinite, rel=1e-3)


def test_bfloat16_is_rounded_to_the_nearest() -> None:
    body = {"input": "a", "encoding_format": "bytes", "embed_dtype": "bfloat16", "endianness": "little"}
    with embedder(vectors)[1] as front:
        answer = front.post("/v1/embeddings", json=body)
    assert struct.unpack("<4H", answer.content) == (0x3F80, 0xC020, 0x3DCD, 0x4780)
    assert json.loads(answer.headers["metadata"])["data"][0]["end"] == 8


def test_a_header_that_no_proxy_takes_is_refused_with_what_to_do() -> None:
    with embedder(vectors)[1] as front:
        answer = front.post("/v1/embeddings", json={"input": ["a"] * 700, "encoding_format": "bytes"})
        assert answer.status_code == 400
        assert "ask for fewer at once, or for bytes_only" in answer.json()["error"]["message"]
        assert front.post("/v1/embeddings", json={"input": ["a"] * 700, "encoding_format": "bytes_only"}).is_success


def test_blank_texts_go_as_ids_because_sglang_takes_none() -> None:
    engine, served = embedder()
    with served as front:
        assert front.post("/v1/embeddings", json={"input": ["a", "hi"]}).status_code == 200
        assert engine.of("/v1/embeddings")[-1]["input"] == ["a", "hi"]
        answer = front.post("/v1/embeddings", json={"input": ["a", " "]})
        assert answer.status_code == 400
        assert answer.json()["error"]["message"] == "The decoder prompt cannot be empty"


def test_prompts_are_cut_here() -> None:
    engine, served = embedder()
    with served as front:
        body = {"input": ["x y z", "hi"], "truncate_prompt_tokens": 2}
        assert front.post("/v1/embeddings", json=body).status_code == 200
        assert engine.of("/v1/embeddings")[-1]["input"] == [[7, 7], [6004]]
        assert front.post("/v1/embeddings", json=body | {"truncate_prompt_tokens": 5000}).status_code == 400


def test_ids_outside_the_vocabulary_never_reach_sglang() -> None:
    engine, served = embedder(vocab_size=100)
    with served as front:
        for ids in ([100], [[1], [-1]], [1 << 40]):
            answer = front.post("/v1/embeddings", json={"input": ids})
            assert answer.status_code == 400
            assert "is out of vocabulary" in answer.json()["error"]["message"]
        assert engine.of("/v1/embeddings") == []


@pytest.mark.parametrize(
    "body",
    [
        {"input": "a", "use_activation": False},
        {"input": "a", "padding": "max_length"},
        {"input": "a", "normalize": True},
        {"input": "a", "embed_dtype": "fp8_e4m3", "encoding_format": "bytes"},
        {"input": "a", "embed_dtype": "int7"},
        {"input": {"text": "a"}},
        {"input": [["a"]]},
        {"input": ["a", 1]},
        {"input": [{"text": "a"}, {"image": FILE}]},
        {"input": [{"video": FILE}]},
        {"messages": [{"role": "user", "content": [IMAGE]}]},
    ],
)
def test_what_cannot_be_is_refused(body: dict[str, Any]) -> None:
    engine, served = embedder()
    with served as front:
        assert front.post("/v1/embeddings", json=body).status_code == 400
        assert engine.asked == []


def test_a_text_that_looks_like_a_file_is_a_text_and_media_beside_it_go_no_further() -> None:
    engine, served = embedder()
    with served as front:
        body = {"input": [FILE, "/etc/passwd"], "image_data": FILE, "mm_processor_kwargs": {"a": 1}}
        assert front.post("/v1/embeddings", json=body).status_code == 200
        assert engine.of("/v1/embeddings") == [{"input": [FILE, "/etc/passwd"], "encoding_format": "float"}]


def test_an_unknown_model_is_404_and_an_alias_is_answered_by_the_first_name() -> None:
    engine = Sglang(answers={"/v1/embeddings": embedded}, info=EMBEDS)
    with behind(engine, served_model_names=(NAME, "alias")) as front:
        assert front.post("/v1/embeddings", json={"model": "nope", "input": "a"}).status_code == 404
        assert front.post("/v1/embeddings", json={"model": "alias", "input": "a"}).json()["model"] == NAME
        assert "model" not in engine.of("/v1/embeddings")[0]


def test_cohere_gets_every_type_that_it_asks_for() -> None:
    def eight(body: dict[str, Any]) -> dict[str, Any]:
        vector = base64.b64encode(struct.pack("<8f", 1, -1, 1, 1, -1, -1, -1, 1)).decode()
        return {"data": [{"embedding": vector}], "usage": {"prompt_tokens": 1}}

    engine = Sglang(answers={"/tokenize": tokenized, "/v1/embeddings": eight}, info=EMBEDS)
    body = {"texts": ["a"], "embedding_types": ["float", "binary", "ubinary", "base64"]}
    with behind(engine) as front:
        answer = front.post("/v2/embed", json=body).json()
        assert answer["embeddings"]["ubinary"] == [[0b10110001]]
        assert answer["embeddings"]["binary"] == [[0b10110001 - 128]]
        assert answer["embeddings"]["float"][0][:2] == [1.0, -1.0]
        assert answer["response_type"] == "embeddings_by_type"
        assert front.post("/v2/embed", json={"texts": []}).status_code == 400
        assert front.post("/v2/embed", json={"images": ["data:,"]}).status_code == 400


def classes(body: dict[str, Any]) -> dict[str, Any]:
    one = {"label": "LABEL_1", "probs": [0.25, 0.75], "num_classes": 2}
    count = len(body["input"]) if isinstance(body["input"][0], str) else 1
    return {"data": [{"index": at, **one} for at in range(count)], "usage": {"prompt_tokens": count}}


def ranks(body: dict[str, Any]) -> list[dict[str, Any]]:
    """In the order of their scores, as SGLang gives them."""
    scored = [
        {"score": len(text) / 10, "index": at, "meta_info": {"prompt_tokens": 4}}
        for at, text in enumerate(body["documents"])
    ]
    return sorted(scored, key=lambda item: item["score"], reverse=True)


@pytest.fixture(scope="module")
def classifier() -> Any:
    engine = Sglang(answers={"/v1/classify": classes, "/v1/rerank": ranks, "/tokenize": tokenized}, info=SCORES)
    with behind(engine) as front:
        yield engine, front


def test_a_class_for_each_input(classifier: tuple[Sglang, Served]) -> None:
    _, front = classifier
    answer = front.post("/classify", json={"model": NAME, "input": ["a", "hi"]}).json()
    assert list(answer) == ["id", "object", "created", "model", "data", "usage"]
    assert answer["id"].startswith("classify-")
    assert [item["index"] for item in answer["data"]] == [0, 1]
    assert answer["data"][0] == {"index": 0, "label": "LABEL_1", "probs": [0.25, 0.75], "num_classes": 2}
    assert front.post("/classify", json={"input": [[1], [2]]}).json()["usage"]["prompt_tokens"] == 2


def test_scores_by_a_classifier_stand_in_the_inputs_order(classifier: tuple[Sglang, Served]) -> None:
    _, front = classifier
    answer = front.post("/score", json={"text_1": "q", "text_2": ["long text", "x"]}).json()
    assert [item["score"] for item in answer["data"]] == [0.9, 0.1]
    assert answer["usage"]["prompt_tokens"] == 8
    pairs = front.post("/v1/score", json={"queries": ["q", "r"], "documents": ["ab", "a"]}).json()
    assert [item["score"] for item in pairs["data"]] == [0.2, 0.1]
    assert front.post("/score", json={"text_1": ["a", "b"], "text_2": "c"}).status_code == 400
    assert front.post("/score", json={"text_1": "a", "text_2": []}).status_code == 400
    assert front.post("/score", json={"text_1": "a"}).status_code == 400


@pytest.mark.parametrize("path", ["/rerank", "/v1/rerank", "/v2/rerank"])
def test_sglangs_list_becomes_vllms_object(classifier: tuple[Sglang, Served], path: str) -> None:
    engine, front = classifier
    body = {"query": "q", "documents": ["x", {"text": "long text"}], "instruction": "be kind"}
    answer = front.post(path, json=body).json()
    assert [item["index"] for item in answer["results"]] == [1, 0]
    assert answer["results"][0]["document"] == {"text": "long text", "multi_modal": None}
    assert engine.of("/v1/rerank")[-1]["instruct"] == "be kind"
    assert "top_n" not in engine.of("/v1/rerank")[-1]
    first = front.post(path, json=body | {"top_n": 1}).json()["results"]
    assert [item["index"] for item in first] == [1]
    wrong: Any
    for wrong in ({"top_n": -1}, {"query": 5}, {"documents": [5]}, {"documents": []}, {"max_tokens_per_doc": 5}):
        assert front.post(path, json=body | wrong).status_code == 400


@pytest.mark.parametrize("image", [{"content": [IMAGE]}, IMAGE, [IMAGE]], ids=["content", "part", "parts"])
@pytest.mark.parametrize("path", ["/rerank", "/v1/rerank", "/v2/rerank"])
def test_a_local_file_is_not_named_to_a_reranker(classifier: tuple[Sglang, Served], path: str, image: Any) -> None:
    engine, front = classifier
    before = len(engine.asked)
    for body in ({"query": "q", "documents": ["a", image]}, {"query": [image], "documents": ["a"]}):
        assert front.post(path, json=body).status_code == 400
    assert len(engine.asked) == before


def test_a_text_that_looks_like_a_file_is_a_text_to_a_reranker(classifier: tuple[Sglang, Served]) -> None:
    engine, front = classifier
    assert front.post("/rerank", json={"query": FILE, "documents": [FILE]}).status_code == 200
    assert engine.of("/v1/rerank")[-1] == {"query": FILE, "documents": [FILE], "return_documents": False}


def test_media_are_not_named_to_a_classifier(classifier: tuple[Sglang, Served]) -> None:
    engine, front = classifier
    before = len(engine.asked)
    for body in (
        {"image_data": FILE},
        {"input": [{"image": FILE}]},
        {"messages": [{"role": "user", "content": [IMAGE]}]},
    ):
        assert front.post("/classify", json=body).status_code == 400
    assert len(engine.asked) == before
    assert front.post("/classify", json={"input": ["a"], "image_data": FILE}).status_code == 200
    assert engine.of("/v1/classify")[-1] == {"input": ["a"]}


def test_a_chat_never_reaches_an_engine_that_it_would_end(classifier: tuple[Sglang, Served]) -> None:
    engine, front = classifier
    before = len(engine.asked)
    chat = {"messages": [{"role": "user", "content": "a"}]}
    for path in ("/v1/chat/completions", "/v1/completions", "/v1/messages", "/generate", "/v1/embeddings"):
        assert front.post(path, json=chat).status_code == 404
    assert len(engine.asked) == before


@pytest.mark.parametrize(
    ("task", "there", "not_there"),
    [
        ("reward", (), ("/classify", "/score", "/v1/embeddings", "/v1/completions")),
        ("classify", ("/classify",), ("/score", "/v1/embeddings", "/v1/completions")),
        ("generate+transcription", ("/v1/completions", "/v1/audio/transcriptions"), ("/classify", "/pooling")),
        ("transcription", ("/v1/audio/translations",), ("/v1/completions", "/pooling")),
    ],
)
def test_the_policys_word_for_what_the_model_is_for_wins(task: str, there: Any, not_there: Any) -> None:
    with behind(Sglang(), policy=Switched(task=task)) as front:
        assert {front.get(path).status_code for path in there} <= {405}
        assert {front.get(path).status_code for path in not_there} <= {404}


def test_a_client_that_leaves_takes_its_call_along() -> None:
    started, closed = threading.Event(), threading.Event()

    async def hang(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        started.set()
        await reader.read()
        closed.set()
        writer.close()

    request = head_of("POST /v1/embeddings HTTP/1.1", "content-type: application/json", "content-length: 13")
    with hostile(hang) as port, middleware(port) as front:
        with socket.create_connection(("127.0.0.1", front.port), PATIENCE) as sock:
            sock.sendall(request + b'{"input":"a"}')
            assert started.wait(PATIENCE)
        assert closed.wait(PATIENCE)


def test_an_engine_that_breaks_is_told_of_in_vllms_shape() -> None:
    answers: list[Any] = [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno",
        (500, b"Internal Server Error"),
        (200, []),
    ]
    for answer in answers:
        with embedder(answer)[1] as front:
            got = front.post("/v1/embeddings", json={"input": "a"})
            assert got.status_code in (500, 502)
            assert got.json()["error"]["code"] == got.status_code


def test_an_answer_of_no_honest_size_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("middleware.calls.ANSWER_LIMIT", 1000)
    for status, words in ((200, "The engine's answer is too large."), (500, "Internal server error")):
        with embedder((status, {"message": "a" * 2000}))[1] as front:
            answer = front.post("/v1/embeddings", json={"input": "a"})
            assert answer.status_code == (502 if status == 200 else 500)
            assert answer.json()["error"]["message"] == words
