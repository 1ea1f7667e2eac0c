"""What a prompt depends on besides the request: the model's files, SGLang's tokenizer, and a client that stays."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from middleware.policy import Policy
from tests.middleware.endpoints.sglang import Sglang, behind
from tests.middleware.preparation.engine import (
    CHAT,
    TOKENIZE,
    TOOL,
    Asked,
    asking,
    model_folder,
    sglang,
)
from tests.middleware.serving import PATIENCE, middleware
from tests.middleware.upstreams import hostile
from tests.middleware.wire import head_of

HI = {"role": "user", "content": "hi"}


def test_without_the_models_files_sglang_renders_and_the_log_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "middleware.preparation"), asking(tmp_path / "nowhere") as asked:
        for _ in range(3):
            assert asked.chat(tools=[TOOL]).status_code == 200
        assert "input_ids" not in asked.sent()
        answer = asked.chat(add_generation_prompt=False)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "add_generation_prompt")
    assert sum(record.name == "middleware.preparation" for record in caplog.records) == 1


def test_files_that_sglang_downloads_are_found_when_it_is_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    snapshot = tmp_path / "models--org--name" / "snapshots" / "abc"
    engine = sglang()

    def downloaded() -> bytes:
        snapshot.mkdir(parents=True, exist_ok=True)
        model_folder(snapshot)
        (tmp_path / "models--org--name" / "refs").mkdir(exist_ok=True)
        (tmp_path / "models--org--name" / "refs" / "main").write_text("abc")
        return Sglang.listing(engine)

    engine.listing = downloaded  # type: ignore[method-assign]
    with behind(engine, policy=Policy(model_path="org/name")) as front:
        assert Asked(front, engine).chat(tools=[TOOL]).status_code == 200
        assert "input_ids" in engine.of(CHAT)[-1]


def test_the_folder_that_sglang_names_is_as_good(tmp_path: Path) -> None:
    engine = sglang()
    engine.info |= {"model_path": str(model_folder(tmp_path)), "tokenizer_path": str(tmp_path)}
    with behind(engine, policy=Policy(model_path="s3://bucket/model")) as front:
        assert Asked(front, engine).chat(tools=[TOOL]).status_code == 200
        assert "input_ids" in engine.of(CHAT)[-1]


@pytest.mark.parametrize(
    ("answer", "status"), [(b"", 502), ((500, {"message": "x"}), 500), ({"tokens": "x"}, 502), (b"HTTP", 502)]
)
def test_a_tokenizer_that_fails_is_an_error_in_vllms_shape(folder: Path, answer: Any, status: int) -> None:
    with asking(folder, sglang(**{TOKENIZE: answer})) as asked:
        got = asked.chat(tools=[TOOL])
        assert (got.status_code, got.json()["error"]["code"]) == (status, status)
        assert not asked.engine.of(CHAT)
        assert asked.chat().status_code == 200


def test_a_client_that_leaves_while_its_prompt_is_tokenized_takes_the_call_with_it(folder: Path) -> None:
    begun, closed, asked = threading.Event(), threading.Event(), []

    async def answering(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(head.split(b" ", 2)[1].decode())
        begun.set()
        await reader.read(1)
        while await reader.read(65536):
            pass
        closed.set()
        writer.close()

    with hostile(answering) as port, middleware(port, policy=Policy(model_path=str(folder))) as front:
        body = json.dumps({"messages": [HI], "tools": [TOOL]}).encode()
        head = head_of(f"POST {CHAT} HTTP/1.1", "content-type: application/json", f"content-length: {len(body)}")
        with socket.create_connection(("127.0.0.1", front.port), PATIENCE) as sock:
            sock.sendall(head + body)
            assert begun.wait(PATIENCE)
        assert closed.wait(PATIENCE)
        assert front.get("/health").status_code == 200
    assert asked == [TOKENIZE]


def test_tokenize_shows_the_same_prompt(asked: Asked) -> None:
    body = {"messages": [HI], "tools": [TOOL]}
    asked.front.post(CHAT, json=body)
    answer = asked.front.post(TOKENIZE, json=body)
    assert answer.json()["tokens"] == asked.sent()["input_ids"]
    assert answer.json()["count"] == len(asked.sent()["input_ids"])
    answer = asked.front.post(TOKENIZE, json={**body, "add_special_tokens": True, "add_generation_prompt": False})
    assert answer.json()["tokens"] == [1, *asked.sent()["input_ids"][:-1], 2]
