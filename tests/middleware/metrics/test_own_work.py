"""vllm_shim:*: what the middleware does to requests, what it refuses and why, what SGLang failed, and what it costs."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from middleware.policy import Policy
from tests.middleware.endpoints.lora import Lora
from tests.middleware.endpoints.sglang import NAME, Sglang, behind
from tests.middleware.endpoints.test_adapters import LORA, load, told
from tests.middleware.metrics import answers
from tests.middleware.metrics.answers import CHAT, CHATS, COMPLETE, COMPLETIONS, GENERATE, HI, NATIVE
from tests.middleware.metrics.counting import counting, idle_page, page, refused
from tests.middleware.metrics.pages import Page
from tests.middleware.serving import PATIENCE, Served, free_port, middleware, stand_in, wait_for

KEY = "k" * 20
OVERHEAD = "vllm_shim:request_overhead_seconds_count"


@pytest.fixture
def sglang() -> Sglang:
    return Sglang({CHATS: answers.chat("stop"), COMPLETIONS: answers.completion("stop")})


@pytest.fixture
def front(sglang: Sglang) -> Iterator[Served]:
    with counting(sglang, strip_params=frozenset({"user"})) as one:
        yield one


def rewritten(found: Page) -> dict[tuple[str, str], float]:
    samples = found.all("vllm_shim:requests_rewritten_total")
    return {(one.labels["rule"], one.labels["table"]): one.value for one in samples}


def failures(front: Served) -> dict[str, float]:
    return idle_page(front).by("kind", "vllm_shim:engine_errors_total")


def test_what_goes_out_as_it_came_in_is_not_rewritten(front: Served) -> None:
    front.post(CHATS, json=CHAT).raise_for_status()
    assert rewritten(idle_page(front)) == {}


@pytest.mark.parametrize(
    ("field", "rule"),
    [
        ({"user": "a"}, "strip_params"),
        ({"guided_json": {"type": "object"}}, "guided_json"),
        ({"structured_outputs": {"regex": "a"}}, "structured_outputs"),
        ({"best_of": 3}, "best_of"),
        ({"of_tomorrow": 1, "and_more": 2}, "unknown_fields"),
    ],
)
def test_a_rule_that_changes_a_request_counts_once(field: dict[str, Any], rule: str, front: Served) -> None:
    front.post(CHATS, json={**CHAT, **field}).raise_for_status()
    front.post(COMPLETIONS, json=COMPLETE).raise_for_status()
    assert rewritten(idle_page(front)) == {(rule, "chat"): 1}


def test_what_is_refused_was_not_rewritten(front: Served) -> None:
    assert front.post(CHATS, json={**CHAT, "user": "a", "bad_words": ["a"]}).status_code == 400
    assert rewritten(idle_page(front)) == {}


@pytest.mark.parametrize(
    ("field", "reason", "status"),
    [
        ({"bad_words": ["a"]}, "bad_words", "400"),
        ({"prompt_logprobs": 1}, "prompt_logprobs", "400"),
        ({"top_p": 3}, "limits", "400"),
        ({"model": "nobody"}, "model", "404"),
        ({"messages": [3]}, "conversation", "400"),
        ({"max_tokens": 99_999}, "model_length", "400"),
    ],
)
@pytest.mark.parametrize("path", [CHATS, "/invocations"])
def test_a_refusal_of_a_tables_has_the_rules_name(
    path: str, field: dict[str, Any], reason: str, status: str, front: Served
) -> None:
    assert front.post(path, json={**CHAT, **field}).status_code == int(status)
    assert refused(front) == {(reason, status): 1}


def test_a_body_that_is_no_request_is_a_bad_request(front: Served) -> None:
    for body, kind in ((b"{", "application/json"), (b"[]", "application/json"), (b"{}", "text/plain")):
        assert front.post(CHATS, content=body, headers={"content-type": kind}).status_code == 400
    assert refused(front) == {("BadRequestError", "400"): 3}


def test_what_a_schema_of_an_endpoint_of_ours_refuses_is_a_bad_request(front: Served) -> None:
    for path in ("/v1/messages", "/tokenize"):
        assert front.post(path, json={"nothing": "of it"}).status_code == 400
    assert refused(front) == {("BadRequestError", "400"): 2}


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/responses"])
def test_a_refusal_of_the_chat_inside_counts_once(path: str, front: Served) -> None:
    body = {**CHAT, "top_p": 3} if path == "/v1/messages" else {"model": NAME, "input": "hi", "top_p": 3}
    assert front.post(path, json=body).status_code == 400
    assert refused(front) == {("limits", "400"): 1}


def test_who_has_no_key_is_refused() -> None:
    with counting(Sglang(), api_keys=(KEY,)) as front:
        assert front.post(CHATS, json=CHAT).status_code == 401
        assert refused(front) == {("unauthorized", "401"): 1}


def test_while_the_engine_is_not_ready_requests_are_refused_and_probes_are_not() -> None:
    with middleware(free_port(), wait_ready=False) as front:
        for path in (CHATS, GENERATE, "/v1/messages"):
            assert front.post(path, json=CHAT).status_code == 503
        for path in ("/health", "/ready", "/ping"):
            assert front.get(path).status_code == 503
        assert refused(front) == {("engine_not_ready", "503"): 3}


@pytest.mark.parametrize(
    ("status", "kind"), [(400, "BadRequestError"), (404, "NotFoundError"), (429, "RateLimitError")]
)
def test_a_request_that_sglang_objects_to_is_told_apart(status: int, kind: str, sglang: Sglang, front: Served) -> None:
    sglang.answers[CHATS] = (status, {"object": "error", "message": "no", "type": "Odd", "code": status})
    for stream in (False, True):
        assert front.post(CHATS, json={**CHAT, "stream": stream}).status_code == status
    assert refused(front) == {(f"engine:{kind}", str(status)): 2}
    assert failures(front) == {}


def test_a_full_queue_of_sglangs_is_a_rejection_by_vllms_name(sglang: Sglang, front: Served) -> None:
    sglang.answers[CHATS] = (503, {"object": "error", "message": "The request queue is full.", "code": 503})
    assert front.post(CHATS, json=CHAT).status_code == 503
    assert idle_page(front).by("reason", "vllm:admission_rejections_total") == {"max_num_queued_reqs": 1}
    assert refused(front) == {}


@pytest.mark.parametrize(
    ("answer", "kind", "status"),
    [
        ((500, {"message": "no"}), "500", 500),
        (b"", "closed", 502),
        (b"nonsense\r\n\r\n", "bad_answer", 502),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\ncontent-type: application/json\r\n\r\n{", "closed", 502),
    ],
)
def test_what_sglang_fails_counts_by_its_kind(
    answer: Any, kind: str, status: int, sglang: Sglang, front: Served
) -> None:
    sglang.answers[CHATS] = answer
    for path in (CHATS, "/v1/messages"):
        assert front.post(path, json=CHAT).status_code == status
    assert failures(front) == {kind: 2}
    assert refused(front) == {}


def test_an_engine_that_is_not_there_any_more_is_unreachable() -> None:
    with stand_in() as engine, middleware(engine.port) as front:
        engine.crash()
        for _ in range(3):
            front.post(CHATS, json={"messages": HI})
        found = failures(front)
        assert set(found) <= {"unreachable", "closed"}
        assert sum(found.values()) + sum(refused(front).values()) == 3


def test_what_the_middleware_adds_is_measured_before_and_after(front: Served) -> None:
    front.post(CHATS, json=CHAT).raise_for_status()
    front.post(COMPLETIONS, json=COMPLETE).raise_for_status()
    front.post(CHATS, json={**CHAT, "top_p": 3})
    found = idle_page(front)
    assert (found.value(OVERHEAD, when="before"), found.value(OVERHEAD, when="after")) == (2, 2)


def test_of_a_stream_only_the_beginning_is_measured(sglang: Sglang, front: Served) -> None:
    sglang.answers[CHATS] = answers.stream(*answers.chat_chunks("stop"))
    front.post(CHATS, json={**CHAT, "stream": True}).raise_for_status()
    found = idle_page(front)
    assert (found.value(OVERHEAD, when="before"), found.value(OVERHEAD, when="after")) == (1, 0)


def test_what_is_in_flight_is_counted_while_it_is_and_no_longer() -> None:
    def in_flight(front: Served) -> float | None:
        return page(front).value("vllm_shim:requests_in_flight")

    with stand_in("--delay-ms", "20") as engine, middleware(engine.port) as front, ThreadPoolExecutor(3) as pool:
        assert in_flight(front) == 0
        body = {"messages": HI, "max_tokens": 150}
        asked = [pool.submit(front.post, CHATS, json={**body, "stream": stream}) for stream in (True, False)]
        asked.append(pool.submit(front.post, CHATS, json=body, headers={"x-standin": "status=500"}))
        wait_for(lambda: in_flight(front) == 2, "two to be in flight")
        for one in asked:
            one.result(PATIENCE)
        wait_for(lambda: in_flight(front) == 0, "nothing to be in flight")


def test_adapters_that_run_are_named_while_they_do() -> None:
    """The inference gateway routes by it; the value is the time, so that the latest holds."""
    engine = Lora()

    def running(front: Served) -> tuple[str, str, str]:
        (one,) = page(front).all("vllm:lora_requests_info")
        assert one.value > 1e9
        return one.labels["running_lora_adapters"], one.labels["waiting_lora_adapters"], one.labels["max_lora"]

    policy = replace(LORA, max_loras=3)
    with counting(engine, policy=policy) as front, ThreadPoolExecutor() as threads:
        for name in ("a", "b"):
            load(front, name)
        assert running(front) == ("", "", "3")
        asked = threads.submit(told, front, prompt="long")
        wait_for(lambda: running(front) == ("a", "", "3"), "one to run")
        engine.release()
        asked.result(PATIENCE)
        wait_for(lambda: running(front) == ("", "", "3"), "none to run")


def test_without_adapters_there_is_no_series_of_them(front: Served) -> None:
    assert not page(front).all("vllm:lora_requests_info")


def test_sglangs_own_generation_is_counted_like_the_others(sglang: Sglang, front: Served) -> None:
    sglang.answers[GENERATE] = answers.generated("stop")
    front.post(GENERATE, json=NATIVE).raise_for_status()
    assert idle_page(front).value(OVERHEAD, when="before") == 1
    assert front.post(GENERATE, json={**NATIVE, "sampling_params": {"top_p": 4}}).status_code == 400
    assert refused(front) == {("sampling_params", "400"): 1}


def test_the_operators_bounds_are_those_of_what_we_add() -> None:
    with counting(Sglang(), policy=Policy(histogram_buckets={"overhead": (0.5, 1.0)})) as front:
        bounds = page(front).series["vllm_shim:request_overhead_seconds"].bounds()
    assert bounds == [["0.5", "1.0", "+Inf"]] * 2


def test_a_batch_counts_the_refusals_of_its_chats_and_not_its_own_beside_them() -> None:
    with behind(Sglang()) as front:
        chats = [[{"role": "user", "content": "a"}], [{"role": "user", "content": "b"}]]
        answer = front.post("/v1/chat/completions/batch", json={"model": NAME, "messages": chats, "top_p": 3})
        assert answer.status_code == 400
        assert refused(front) == {("limits", "400"): 2}


def test_a_path_or_a_method_that_is_not_served_is_a_refusal() -> None:
    with behind(Sglang()) as front:
        front.get("/nope")
        front.get("/v1/completions")
        assert refused(front) == {("no_such_route", "404"): 1, ("no_such_method", "405"): 1}
