"""vllm:request_params_n and _max_tokens: n once for each prompt, the length once for each choice that has ended."""

from __future__ import annotations

from typing import Any

import pytest

from middleware.policy import Policy
from tests.middleware.endpoints.sglang import NAME, Sglang
from tests.middleware.metrics import answers
from tests.middleware.metrics.answers import CHAT, CHATS, COMPLETE, COMPLETIONS, GENERATE, HI, NATIVE
from tests.middleware.metrics.counting import counting, idle_page
from tests.middleware.metrics.pages import Page

LENGTH = 2048  # of the model of these tests


def after(path: str, body: Any, answer: Any, *, asked: str = "", policy: Policy | None = None) -> Page:
    with counting(Sglang({asked or path: answer}), policy=policy) as front:
        front.post(path, json=body)
        return idle_page(front)


def sizes(page: Page) -> dict[str, tuple[float | None, float | None]]:
    """How many, and their sum."""
    names = {"n": "vllm:request_params_n", "max_tokens": "vllm:request_params_max_tokens"}
    return {short: (page.value(f"{name}_count"), page.value(f"{name}_sum")) for short, name in names.items()}


def test_a_chat_counts_once() -> None:
    assert sizes(after(CHATS, CHAT, answers.chat("stop"))) == {"n": (1, 1), "max_tokens": (1, 5)}


@pytest.mark.parametrize("streamed", [False, True])
def test_n_counts_once_and_the_length_for_each_choice(streamed: bool) -> None:
    answer: Any = answers.stream(*answers.chat_chunks("stop", "length")) if streamed else answers.chat("stop", "length")
    page = after(CHATS, {**CHAT, "n": 2, "stream": streamed}, answer)
    assert sizes(page) == {"n": (1, 2), "max_tokens": (2, 10)}


def test_each_prompt_counts() -> None:
    body = {**COMPLETE, "prompt": ["a", "b", "c"], "n": 2}
    page = after(COMPLETIONS, body, answers.completion(*["stop"] * 6))
    assert sizes(page) == {"n": (3, 6), "max_tokens": (6, 30)}


def test_a_length_falls_between_its_bounds() -> None:
    page = after(CHATS, CHAT, answers.chat("stop"))
    name = "vllm:request_params_max_tokens_bucket"
    assert [page.value(name, le=le) for le in ("2.0", "5.0", "2000.0", "+Inf")] == [0, 1, 1, 1]


def test_what_sets_no_length_has_the_room_behind_its_prompt() -> None:
    body = {"model": NAME, "messages": HI}
    assert sizes(after(CHATS, body, answers.chat("stop", prompt=48)))["max_tokens"] == (1, LENGTH - 48)


def test_of_a_stream_that_sets_no_length_the_models_counts_where_nobody_knows_its_prompts() -> None:
    answer = answers.stream(*answers.chat_chunks("stop"))
    assert sizes(after(CHATS, {"model": NAME, "messages": HI, "stream": True}, answer)) == {
        "n": (1, 1),
        "max_tokens": (1, LENGTH),
    }


def test_a_completion_that_sets_no_length_has_vllms_own() -> None:
    body = {"model": NAME, "prompt": "a"}
    assert sizes(after(COMPLETIONS, body, answers.completion("length")))["max_tokens"] == (1, 16)


@pytest.mark.parametrize(
    ("path", "lengths", "counted"),
    [
        (CHATS, {"max_tokens": 5, "max_completion_tokens": 7}, 7),
        (CHATS, {"max_tokens": 5, "max_completion_tokens": None}, 5),
        (CHATS, {"max_tokens": "5"}, 5),
        (CHATS, {"max_tokens": 5.0}, 5),
        (CHATS, {"max_tokens": 5, "max_completion_tokens": "7"}, 7),
        (CHATS, {"max_tokens": 5, "max_completion_tokens": 7.0}, 7),
        (CHATS, {"max_tokens": 5, "max_output_tokens": 9}, 5),
        (COMPLETIONS, {"max_tokens": 5, "max_completion_tokens": 7}, 5),
        (COMPLETIONS, {"max_tokens": "5"}, 5),
        (COMPLETIONS, {"max_tokens": 5.0, "max_output_tokens": 9}, 5),
        (COMPLETIONS, {"max_completion_tokens": 7}, 16),
        (COMPLETIONS, {"max_tokens": 0, "echo": True}, 1),
    ],
)
def test_the_length_is_the_one_that_vllm_goes_by(path: str, lengths: dict[str, Any], counted: int) -> None:
    """Of two fields the one that its route knows, and of both the newer; whatever pydantic takes for a number."""
    body = {"model": NAME, **({"messages": HI} if path == CHATS else {"prompt": "a"}), **lengths}
    answer = answers.chat("stop") if path == CHATS else answers.completion("stop")
    assert sizes(after(path, body, answer))["max_tokens"] == (1, counted)


def test_the_servers_cap_makes_it_shorter() -> None:
    page = after(CHATS, {**CHAT, "max_completion_tokens": 7}, answers.chat("stop"), policy=Policy(max_new_tokens=3))
    assert sizes(page)["max_tokens"] == (1, 3)


def test_what_is_added_for_sglang_alone_does_not_count() -> None:
    """`asked.headroom`."""
    policy = Policy(response_store=True)
    body = {"model": NAME, "input": "hi", "max_output_tokens": 5}
    answer = {"id": "resp_1", "object": "response", "status": "completed", "output": [], "model": NAME}
    page = after("/v1/responses", body, answer, policy=policy)
    assert sizes(page)["max_tokens"] == (1, 5)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/messages", CHAT),
        ("/v1/responses", {"model": NAME, "input": "hi", "max_output_tokens": 5}),
        ("/v1/chat/completions/batch", {**CHAT, "messages": [HI]}),
    ],
)
def test_what_is_a_chat_inside_counts_as_one(path: str, body: Any) -> None:
    assert sizes(after(path, body, answers.chat("stop"), asked=CHATS)) == {"n": (1, 1), "max_tokens": (1, 5)}


def test_sglangs_own_generation_has_no_parameters_of_vllms() -> None:
    assert sizes(after(GENERATE, NATIVE, answers.generated("stop"))) == {"n": (0, 0), "max_tokens": (0, 0)}


def test_what_does_not_end_is_not_counted() -> None:
    nothing = {"n": (0, 0), "max_tokens": (0, 0)}
    assert sizes(after(CHATS, {**CHAT, "top_p": 3}, answers.chat("stop"))) == nothing
    assert sizes(after(CHATS, CHAT, (500, {"message": "no"}))) == nothing


def test_the_operators_bounds_are_ours_too() -> None:
    """--custom-histogram-buckets."""
    policy = Policy(histogram_buckets={"request_tokens": (3.0, 7000.0), "request_params_n": (4.0,)})
    page = after(CHATS, CHAT, answers.chat("stop"), policy=policy)
    assert page.series["vllm:request_params_max_tokens"].bounds() == [["3.0", "7000.0", "+Inf"]]
    assert page.series["vllm:request_params_n"].bounds() == [["4.0", "+Inf"]]
    assert page.series["vllm:request_prompt_tokens"].bounds() == [["3.0", "7000.0", "+Inf"]]
