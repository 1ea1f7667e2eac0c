"""A completion longer than its room: asked for again with what there is room for, as vLLM serves it."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from middleware.dialect.room import fit_each, fitted
from middleware.errors import Refused
from middleware.fields.draft import Draft
from middleware.fields.told import Kind, Told
from middleware.policy import Policy


def refusal(context: int, prompt: int, wanted: int) -> bytes:
    message = (
        f"Requested token count exceeds the model's maximum context length of {context} tokens. You requested a total "
        f"of {prompt + wanted} tokens: {prompt} tokens from the input messages and {wanted} tokens for the completion. "
        "Please reduce the number of tokens in the input messages or the completion to fit within the limit."
    )
    return json.dumps({"object": "error", "message": message, "code": 400}).encode()


def draft(kind: Kind, **fields: Any) -> Draft:
    raw = {name: msgspec.Raw(json.dumps(value).encode()) for name, value in fields.items()}
    return Draft(raw, Policy(), Told(kind))


@pytest.mark.parametrize(
    ("kind", "asked", "becomes"),
    [
        (Kind.CHAT, {"max_tokens": 2000}, {"max_tokens": 1948}),
        (Kind.CHAT, {"max_completion_tokens": 2000}, {"max_completion_tokens": 1948}),
        (Kind.CHAT, {"max_completion_tokens": 2000, "max_tokens": 5}, {"max_completion_tokens": 1948, "max_tokens": 5}),
        (Kind.CHAT, {"max_tokens": "2000"}, {"max_tokens": 1948}),
        (Kind.COMPLETION, {}, {"max_tokens": 1948}),
        (Kind.RESPONSE, {"max_output_tokens": 2002}, {"max_output_tokens": 1950}),
    ],
)
def test_the_field_that_the_client_used_is_lowered(kind: Kind, asked: Any, becomes: Any) -> None:
    request = draft(kind, **asked)
    assert fitted(request, refusal(2048, 100, 2000))
    assert {name: msgspec.json.decode(raw) for name, raw in request.fields.items()} == becomes


def test_of_several_prompts_none_is_sent_a_second_time() -> None:
    request = draft(Kind.COMPLETION, max_tokens=2000)
    request.told.prompts = 2
    assert not fitted(request, refusal(2048, 100, 2000))


@pytest.mark.parametrize(
    ("prompts", "fields", "lengths", "becomes"),
    [
        ((10, 20), {"max_tokens": 100}, None, 100),
        ((10, 2000), {"max_tokens": 100}, [100, 48], 100),
        ((2000, 2000), {"max_tokens": 100}, None, 48),
        ((10, 2040), {}, [16, 8], None),
        ((10, 20), {}, None, 16),
    ],
)
def test_each_of_several_prompts_has_its_own_room(
    prompts: tuple[int, ...], fields: Any, lengths: list[int] | None, becomes: int | None
) -> None:
    request = draft(Kind.COMPLETION, **fields)
    assert fit_each(request, prompts, 2048, 16) == lengths
    assert request.number("max_tokens") == becomes


def test_a_prompt_without_room_is_refused_among_others() -> None:
    for longest, param in ((2048, "max_tokens"), (2049, "input_tokens")):
        with pytest.raises(Refused) as caught:
            fit_each(draft(Kind.COMPLETION, max_tokens=5), (3, longest), 2048, 16)
        assert json.loads(bytes(caught.value.response.body))["error"]["param"] == param


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        pytest.param(Kind.CHAT, refusal(2048, 100, 2049), id="more than the context is vLLM's error too"),
        pytest.param(Kind.CHAT, refusal(2048, 2048, 10), id="no room at all"),
        pytest.param(Kind.CHAT, b'{"message":"another"}', id="another error"),
        pytest.param(Kind.CHAT, b"nonsense", id="no JSON"),
        pytest.param(Kind.NATIVE, refusal(2048, 100, 2000), id="SGLang's own route"),
    ],
)
def test_anything_else_is_the_answer(kind: Kind, error: bytes) -> None:
    request = draft(kind, max_tokens=2000)
    assert not fitted(request, error)
    assert not request.changed
