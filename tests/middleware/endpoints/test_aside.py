"""Work that grows with a request is not done in the event loop's thread, and a value that nobody reads is not read.

No clock is looked at: the interpreter tells in which thread what was called.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import middleware
from middleware.aside import LARGE
from middleware.policy import Policy
from tests.middleware import serving
from tests.middleware.endpoints.sglang import EMBEDS, GENERATES, NAME, Sglang, behind
from tests.middleware.upstreams import hostile

FOLDER = str(Path(middleware.__file__).parent)
TEXTS = ["a"] * 40
WIDTH = 512
LONG = [{"role": "user", "content": "a" * 2 * LARGE}]
IDS = list(range(LARGE // 2))


class Calls:
    """What was called by our code, or in it, in the threads that started meanwhile: `file.name`."""

    def __init__(self) -> None:
        self._seen: Counter[tuple[int, str]] = Counter()

    def __call__(self, frame: FrameType, event: str, arg: Any) -> None:
        if frame.f_code.co_filename.startswith(FOLDER) and event in ("call", "c_call"):
            name = frame.f_code.co_name if event == "call" else arg.__name__
            self._seen[threading.get_ident(), f"{Path(frame.f_code.co_filename).stem}.{name}"] += 1

    def count(self, name: str) -> int:
        return sum(times for (_, seen), times in self._seen.items() if seen == name)

    def were_aside(self, *names: str) -> bool:
        """All of them in threads other than the loop's, which the application is called in."""
        loops = {thread for thread, seen in self._seen if seen == "front.__call__"}
        assert len(loops) == 1
        return all(self.count(name) and not any((loop, name) in self._seen for loop in loops) for name in names)


@pytest.fixture
def calls() -> Iterator[Calls]:
    before = threading.getprofile()
    seen = Calls()
    threading.setprofile(seen)
    yield seen
    threading.setprofile(before)


def vectors(body: dict[str, Any]) -> dict[str, Any]:
    vector = base64.b64encode(struct.pack(f"<{WIDTH}f", *range(WIDTH))).decode()
    return {"data": [{"embedding": vector}] * len(body["input"]), "usage": {"prompt_tokens": 3}}


def tokenized(body: dict[str, Any]) -> dict[str, Any]:
    return {"tokens": [[5]] * len(body["prompt"]) if isinstance(body.get("prompt"), list) else IDS}


@contextlib.contextmanager
def embedder() -> Iterator[serving.Served]:
    with behind(Sglang(answers={"/v1/embeddings": vectors, "/tokenize": tokenized}, info=EMBEDS)) as front:
        yield front


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/embeddings", {"input": TEXTS, "encoding_format": "base64", "embed_dtype": "float16"}),
        ("/v1/embeddings", {"input": TEXTS, "encoding_format": "bytes_only"}),
        ("/v2/embed", {"texts": TEXTS, "embedding_types": ["float", "binary"]}),
        ("/score", {"text_1": "a", "text_2": TEXTS}),
    ],
)
def test_vectors_are_computed_with_aside(calls: Calls, path: str, body: dict[str, Any]) -> None:
    with embedder() as front:
        assert front.post(path, json=body).status_code == 200
    assert calls.were_aside("vectors.floats_of")


def test_vectors_that_are_only_handed_on_are_put_together_aside(calls: Calls) -> None:
    with embedder() as front:
        answer = front.post("/v1/embeddings", json={"input": TEXTS, "encoding_format": "base64"}).json()
    assert [item["index"] for item in answer["data"]] == list(range(len(TEXTS)))
    assert calls.were_aside("vectors.filled")


def test_the_length_of_each_vector_is_computed_once(calls: Calls) -> None:
    with embedder() as front:
        assert front.post("/score", json={"text_1": "a", "text_2": TEXTS}).status_code == 200
    assert calls.were_aside("score._product")
    assert calls.count("score._product") == 1 + 2 * len(TEXTS)


def test_what_invocations_hands_on_keeps_its_bytes() -> None:
    messages = b'[ {"role": "user",  "content": "\\u0061"} ]'
    bodies: list[bytes] = []

    async def answering(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        [length] = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")]
        bodies.append(await reader.readexactly(int(length)))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")

    headers = {"x-amzn-sagemaker-adapter-identifier": NAME, "content-type": "application/json"}
    with hostile(answering) as port, serving.middleware(port, served_model_names=(NAME,)) as front:
        front.post("/invocations", content=b'{"messages": %b, "model": "other"}' % messages, headers=headers)
    [body] = bodies
    assert messages in body
    assert json.loads(body)["model"] == NAME


def test_many_ids_are_written_aside(calls: Calls) -> None:
    with behind(Sglang(answers={"/tokenize": tokenized})) as front:
        answer = front.post("/tokenize", json={"prompt": "a"}).json()
    assert answer == {"count": len(IDS), "max_model_len": 2048, "tokens": IDS, "token_strs": None}
    assert calls.were_aside("ids.written")


def test_the_models_files_are_looked_for_and_read_aside(calls: Calls, tmp_path: Path) -> None:
    (tmp_path / "tokenizer_config.json").write_text("{}")
    (tmp_path / "config.json").write_text('{"vocab_size": 5}')
    info = {**GENERATES, "model_path": str(tmp_path), "tokenizer_path": str(tmp_path)}
    with behind(Sglang(info=info), policy=Policy(tokenizer_info=True)) as front:
        assert calls.were_aside("model_files.vocabulary_size")
        assert front.get("/tokenizer_info").status_code == 200
    assert calls.were_aside("tokenize._info", "model.tokenizer_folder", "locate.folder")


def test_a_long_chat_is_checked_and_written_aside(calls: Calls) -> None:
    with behind(Sglang(answers={"/tokenize": tokenized})) as front:
        assert front.post("/tokenize", json={"messages": LONG}).status_code == 200
    assert calls.were_aside("edit.open")


def test_a_long_message_becomes_a_chat_aside(calls: Calls) -> None:
    with behind(Sglang()) as front:
        front.post("/v1/messages", json={"model": NAME, "max_tokens": 5, "messages": LONG})
    assert calls.were_aside("messages.encode")


def test_what_is_noted_of_a_refused_request_is_looked_at_when_somebody_asks(calls: Calls) -> None:
    """Anybody may be refused, as often and with as long a path as he likes."""
    with behind(Sglang()) as front:
        assert front.get("/nowhere/" + "x" * 50_000).status_code == 404
    assert calls.count("recent.note") == 1
    assert calls.count("secrecy.cleaned") == 0
