"""Routes of a real vLLM 0.33.0, replayed: what exists on which server, and what it answers, is the same here."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from tests.middleware.endpoints.policies import Switched
from tests.middleware.endpoints.replaying import assert_same, recorded, replay
from tests.middleware.endpoints.sglang import EMBEDS, NAME, Sglang, behind
from tests.middleware.serving import Served

# 576 numbers in a recording, three here.
VECTORS = {"a car": [0.6, 0.0, 0.8]}
VECTOR = [0.6, 0.8, 0.0]
PROMPT_IDS = {"Hello world": [19556, 905], "Hello": [19556], "a": [81], "hi": [6004], "": []}
CHAT = json.dumps([1, 9690, 198, 2683, 359, 253, 5356, 5646, 11173, 3365, 3511, 308, 34519, 28, 7018, 411, 407, 19712,
                   8182, 2, 198, 1, 4093, 198, 6004, 2, 198])  # fmt: skip
OPENED = [1, 520, 9531, 198]


def tokenized(body: dict[str, Any]) -> dict[str, Any]:
    """As SGLang does, but for the limit, which is the tokenizer's there."""
    if "messages" in body:
        tokens = json.loads(CHAT) + (OPENED if body["add_generation_prompt"] else [])
        tokens += [3681] if body.get("continue_final_message") else []
        return {"tokens": tokens, "count": len(tokens), "max_model_len": 8192}
    if isinstance(body["prompt"], list):
        rows = [PROMPT_IDS.get(text, [7] * len(text.split())) for text in body["prompt"]]
        return {"tokens": rows, "count": [len(row) for row in rows], "max_model_len": 8192}
    tokens = PROMPT_IDS[body["prompt"]]
    return {"tokens": tokens, "count": len(tokens), "max_model_len": 8192}


def embedded(body: dict[str, Any]) -> Any:
    given = body["input"]
    if "dimensions" in body:
        words = f"Model '/models/{NAME}' does not support matryoshka representation, changing output dimensions will "
        return 400, {"object": "error", "message": f"{words}lead to poor results.", "code": 400}
    if isinstance(given, list) and given and isinstance(given[0], int):
        given = [given]
    inputs = [given] if isinstance(given, str) else given
    if any(isinstance(item, str) and len(item) > 5000 for item in inputs):
        words = "The input (3000 tokens) is longer than the model's context length (2048 tokens)."
        return 400, {"object": "error", "message": words, "code": 400}
    vectors: list[Any] = [VECTORS.get(str(item), VECTOR) for item in inputs]
    if body["encoding_format"] == "base64":
        vectors = [base64.b64encode(struct.pack("<3f", *vector)).decode() for vector in vectors]
    data = [{"embedding": vector, "index": at, "object": "embedding"} for at, vector in enumerate(vectors)]
    return {"data": data, "model": "/models/x", "object": "list", "usage": {"prompt_tokens": len(inputs)}}


def engine(**of: Any) -> Sglang:
    answers = {
        "/tokenize": tokenized,
        "/detokenize": {"text": "Hello world"},
        "/v1/embeddings": embedded,
        "/flush_cache": (200, b"Cache flushed.\n"),
        "/server_info": {"tp_size": 1, "pp_size": 1, "dp_size": 1, "api_key": "sk-engine"},
    }
    return Sglang(answers=answers, **of)


@pytest.fixture(scope="module")
def plain() -> Iterator[Served]:
    with behind(engine()) as front:
        yield front


@pytest.fixture(scope="module")
def embedding() -> Iterator[Served]:
    with behind(engine(info=EMBEDS)) as front:
        yield front


@pytest.mark.parametrize("exchange", recorded("recordings_plain"))
def test_a_generating_server_without_switches(plain: Served, exchange: dict[str, Any]) -> None:
    assert_same(replay(plain, exchange), exchange)


# More than one kind of input is tried there, and each says what is wrong with it.
UNIONS = ("emb_embeddings_missing", "emb_v_int_input", "emb_v_null_format")


@pytest.mark.parametrize("exchange", recorded("recordings_embed"))
def test_an_embedding_server(embedding: Served, exchange: dict[str, Any]) -> None:
    if exchange["request"].get("json", {}).get("input") == "word word" and exchange["name"] == "emb_v_too_long":
        exchange["request"]["json"]["input"] = "word " * 3000
    answer = replay(embedding, exchange)
    assert_same(answer, exchange, words=exchange["name"] not in UNIONS)
    if "metadata" in exchange["response"]:
        assert_same_metadata(json.loads(answer.headers["metadata"]), json.loads(exchange["response"]["metadata"]))


def assert_same_metadata(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert list(ours) == list(theirs)
    assert ours["data"] == [{**theirs["data"][0], "end": 12, "shape": [3]}]
    assert ours["usage"] == theirs["usage"]


@pytest.fixture(scope="module")
def dev() -> Iterator[Served]:
    loaded: dict[str, str] = {"noisy": "engine/lora/noisy"}

    def load(body: dict[str, str]) -> Any:
        if body["lora_path"] == "kit/":
            words = "Repo id must be in the form 'repo_name' or 'namespace/repo_name': 'kit/'."
            return 400, {"success": False, "error_message": words}
        loaded[body["lora_name"]] = body["lora_path"]
        return {"success": True, "error_message": "", "loaded_adapters": loaded}

    def unload(body: dict[str, str]) -> Any:
        del loaded[body["lora_name"]]
        return {"success": True, "error_message": "", "loaded_adapters": loaded}

    sglang = engine(cards=[{"id": "noisy", "root": "engine/lora/noisy", "parent": NAME, "max_model_len": None}])
    sglang.answers |= {"/load_lora_adapter": load, "/unload_lora_adapter": unload}
    policy = Switched(dev_mode=True, runtime_lora=True, model_path="/models/SmolLM2-135M-Instruct")
    with behind(sglang, policy=policy) as front:
        yield front


@pytest.mark.parametrize("exchange", recorded("recordings_dev"))
def test_a_server_with_development_routes_and_adapters(dev: Served, exchange: dict[str, Any]) -> None:
    """In the recordings' order: what is loaded is then unloaded."""
    if exchange["name"] == "v_lora_load_missing_path":
        exchange["response"]["json"]["error"]["message"] = "Loading lora a failed: No adapter found for kit/"
    assert_same(replay(dev, exchange), exchange)
