"""Vectors from the real engine, started for nothing else, as OpenAI's client and LangChain read them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import openai
import pydantic
import pytest

from tests.engine.conftest import KEY, LAUNCH, LOAD_SECONDS, MODEL, NAME
from tests.middleware.deadly import DEADLY, WORDLESS
from tests.server import Server, serving

pytestmark = pytest.mark.engine
WIDTH = 576


@pytest.fixture(scope="module")
def pooling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    words: tuple[str, ...] = (str(MODEL), "--served-model-name", NAME, "--max-model-len", "2048")
    words += ("--runner", "pooling", "--convert", "embed")
    env = {"VLLM_SHIM_ENGINE_ARGS": "--max-total-tokens 4096", "VLLM_API_KEY": KEY}
    with serving(tmp_path_factory.mktemp("pooling"), *words, engine=LAUNCH, env=env) as server:
        server.wait_ready(LOAD_SECONDS)
        yield server


@pytest.fixture(scope="module")
def vectors(pooling: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{pooling.url}/v1", api_key=KEY, max_retries=0) as one:
        yield one


def test_texts_become_vectors_of_length_one(vectors: openai.OpenAI) -> None:
    answer = vectors.embeddings.create(model=NAME, input=["The capital of France", "A cat"])
    assert [one.index for one in answer.data] == [0, 1]
    for one in answer.data:
        assert len(one.embedding) == WIDTH
        assert math.isclose(sum(number * number for number in one.embedding), 1, abs_tol=0.01)
    assert answer.usage.prompt_tokens > 4


def test_a_vector_is_the_same_in_numbers_and_in_base64(vectors: openai.OpenAI) -> None:
    numbers = vectors.embeddings.create(model=NAME, input="A cat", encoding_format="float").data[0].embedding
    packed = vectors.embeddings.create(model=NAME, input="A cat").data[0].embedding  # the client's default is base64
    assert packed == pytest.approx(numbers, abs=1e-3)


def test_an_embedding_server_lists_its_model_and_does_not_chat(vectors: openai.OpenAI) -> None:
    assert [model.id for model in vectors.models.list()] == [NAME]
    with pytest.raises(openai.NotFoundError):
        vectors.chat.completions.create(model=NAME, messages=[{"role": "user", "content": "Hello"}])
    with pytest.raises(openai.NotFoundError, match="The model `nope` does not exist"):
        vectors.embeddings.create(model="nope", input="A cat")
    assert len(vectors.embeddings.create(model=NAME, input="A cat").data) == 1, "and it is still there"


def test_langchain_embeds_documents(pooling: Server) -> None:
    from langchain_openai import OpenAIEmbeddings

    embeddings = OpenAIEmbeddings(
        base_url=f"{pooling.url}/v1",
        api_key=pydantic.SecretStr(KEY),
        model=NAME,
        check_embedding_ctx_length=False,  # else it cuts texts up with OpenAI's tokenizer, which it has to fetch
    )
    assert [len(vector) for vector in embeddings.embed_documents(["A cat", "A dog"])] == [WIDTH, WIDTH]


@pytest.mark.parametrize(("path", "body"), [case for case in DEADLY + WORDLESS if case[0] == "/encode"])
def test_what_ended_an_embedding_engine_is_400(pooling: Server, path: str, body: dict[str, Any]) -> None:
    headers = {"authorization": f"Bearer {KEY}"}
    assert pooling.client.post(path, json=body, headers=headers).status_code == 400
    assert pooling.client.post(path, json={"text": ["hi", "ho"], "rid": ["a", "b"]}, headers=headers).status_code == 200
