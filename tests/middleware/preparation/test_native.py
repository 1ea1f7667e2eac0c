"""A prompt of no tokens ends SGLang: of a text without a letter or a digit the tokenizer is asked, of others nobody."""

from __future__ import annotations

from typing import Any

import pytest

from tests.middleware.endpoints.sglang import EMBEDS, GENERATES, Sglang, behind

ANSWER = {"text": "x", "meta_info": {}}


def empty(body: dict[str, Any]) -> dict[str, Any]:
    """A tokenizer that makes nothing of blanks and what is not written."""
    return {"tokens": [[1] * len(text.strip("\u200b ")) for text in body["prompt"]]}


def begun(body: dict[str, Any]) -> dict[str, Any]:
    """One that begins every prompt with a token of its own."""
    return {"tokens": [[0] for _ in body["prompt"]]}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/generate", {"text": ""}),
        ("/generate", {"text": ["hi", "\u200b"]}),
        ("/generate", {"text": "", "image_data": "data:,"}),
        ("/vertex_generate", {"instances": [{"text": "hi"}, {"text": ""}]}),
        ("/api/generate", {"model": "smollm2-135m", "prompt": "\u200b"}),
        ("/encode", {"text": ["hi", ""]}),
        ("/encode", {"text": [["", ""]], "is_cross_encoder_request": True}),
    ],
)
def test_a_prompt_of_no_tokens_is_refused_unless_the_model_begins_it(path: str, body: dict[str, Any]) -> None:
    info = EMBEDS if path == "/encode" else GENERATES
    for tokenizer, status in ((empty, 400), (begun, 200)):
        engine = Sglang(answers={"/tokenize": tokenizer, path: ANSWER}, info=info)
        with behind(engine) as front:
            answer = front.post(path, json=body)
        assert answer.status_code == status, answer.text
        assert len(engine.of(path)) == (status == 200)


def test_of_other_texts_nobody_is_asked() -> None:
    engine = Sglang(answers={"/generate": ANSWER})
    with behind(engine) as front:
        assert front.post("/generate", json={"text": ["hi", "5", "…a"]}).status_code == 200
    assert [path for _, path, _ in engine.asked] == ["/generate"]


def test_a_blank_prompt_of_ollamas_clients_is_sglangs_to_answer() -> None:
    engine = Sglang(answers={"/api/generate": ANSWER})
    with behind(engine) as front:
        assert front.post("/api/generate", json={"model": "smollm2-135m", "prompt": " "}).status_code == 200
    assert len(engine.asked) == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/separate_reasoning", {"text": "", "reasoning_parser": "qwen3"}),
        ("/parse_function_call", {"text": "", "tools": [], "tool_call_parser": "hermes"}),
    ],
)
def test_a_text_that_is_only_parsed_may_be_empty(path: str, body: dict[str, Any]) -> None:
    engine = Sglang(answers={"/tokenize": empty, path: {}})
    with behind(engine) as front:
        assert front.post(path, json=body).status_code == 200
    assert [asked for _, asked, _ in engine.asked] == [path]
