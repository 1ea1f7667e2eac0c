"""LangChain on the real engine, as most applications reach a model: its chat model for OpenAI's API."""

from __future__ import annotations

from typing import Any

import pydantic
import pytest

from tests.engine.conftest import KEY, NAME
from tests.server import Server

pytestmark = pytest.mark.engine


class Person(pydantic.BaseModel):
    """A person."""

    name: str
    age: int


@pytest.fixture(scope="module")
def chat(sglang: Server) -> Any:
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(
        base_url=f"{sglang.url}/v1",
        api_key=pydantic.SecretStr(KEY),
        model=NAME,
        temperature=0,
        max_completion_tokens=60,
        max_retries=0,
    )


def test_a_question_is_answered_whole_and_in_pieces(chat: Any) -> None:
    whole = chat.invoke("What is the capital of France?")
    assert "Paris" in whole.content
    assert whole.usage_metadata["output_tokens"] > 0
    assert whole.response_metadata["model_name"] == NAME
    assert "Paris" in "".join(piece.content for piece in chat.stream("What is the capital of France?"))


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_an_object_is_an_object_of_the_class(chat: Any, method: str) -> None:
    found = chat.with_structured_output(Person, method=method, strict=True).invoke("Invent a person.")
    assert isinstance(found, Person)
