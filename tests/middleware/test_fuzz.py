"""Whatever a client sends: no failure of ours, no traceback, no hang, and an error that vLLM's clients can read.

10,000 cases more are in `make soak`; HYPOTHESIS_PROFILE=explore draws others.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from middleware.policy import Policy
from tests.middleware.deadly import DEADLY, WORDLESS, why_deadly
from tests.middleware.endpoints.sglang import EMBEDS, GENERATES, SCORES
from tests.middleware.fuzzing import JSON, NAME, OWN, Case, Complaints, answered, cases, objection, obliging
from tests.middleware.serving import Served, middleware

SWITCHED = {"dev_mode": True, "runtime_lora": True, "profiler": True, "tokenizer_info": True, "vocab_size": 49152}
POOLING = (
    "/v1/embeddings", "/v2/embed", "/pooling", "/encode", "/classify", "/score", "/v1/score", "/rerank", "/v2/rerank",
    "/v1/classify", "/tokenize", "/detokenize", "/invocations",
)  # fmt: skip
budget = settings(suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def complaints() -> Iterator[Complaints]:
    with Complaints().listening() as one:
        yield one


def fuzzed(info: dict[str, Any], **policy: Any) -> Iterator[Served]:
    with obliging(info) as port, middleware(port, served_model_names=(NAME,), policy=Policy(**policy)) as front:
        yield front


@pytest.fixture(scope="module")
def generating() -> Iterator[Served]:
    yield from fuzzed(GENERATES, **SWITCHED)


@pytest.fixture(scope="module")
def embedding() -> Iterator[Served]:
    yield from fuzzed(EMBEDS, **SWITCHED)


@pytest.fixture(scope="module")
def scoring() -> Iterator[Served]:
    yield from fuzzed(SCORES, task="score", **SWITCHED)


def judge(front: Served, complaints: Complaints, case: Case) -> None:
    complaints.found.clear()
    assert objection(case, *answered(front.port, case)) == ""
    assert complaints.found == []


TELL = {"model": NAME, "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
# The smallest of what made the middleware fail once.
FOUND = (
    ("/v1/chat/completions", {**TELL, "temperature": 10**400}),
    ("/v1/responses", {"model": NAME, "input": "hi", "temperature": 10**400}),
    ("/v1/completions", {"model": NAME, "prompt": "hi", "top_p": 10**400}),
    ("/v1/completions", {"model": NAME, "prompt": "hi", "min_p": -(10**400)}),
    ("/v1/chat/completions", {**TELL, "presence_penalty": 10**400}),
    ("/v1/chat/completions", {**TELL, "repetition_penalty": -(10**400)}),
    ("/v1/messages", {**TELL, "frequency_penalty": {}}),
    ("/v1/messages", {**TELL, "repetition_penalty": {}}),
    ("/v1/messages", {**TELL, "presence_penalty": "a"}),
    ("/v1/messages", {**TELL, "min_p": []}),
)


@pytest.mark.parametrize(("path", "body"), FOUND)
def test_what_was_too_strange_once(generating: Served, complaints: Complaints, path: str, body: dict[str, Any]) -> None:
    judge(generating, complaints, Case("POST", path, (JSON,), json.dumps(body).encode()))


def own(path: str, body: dict[str, Any]) -> Case:
    named = {**body, "model": NAME} if "model" in body else body
    return Case("POST", path, (JSON,), json.dumps(named).encode())


@pytest.mark.parametrize(("path", "body"), DEADLY)
def test_what_ends_sglang_does_not_reach_it(
    generating: Served, embedding: Served, complaints: Complaints, path: str, body: dict[str, Any]
) -> None:
    judge(embedding if path == "/encode" else generating, complaints, own(path, body))


@pytest.mark.parametrize(("path", "body"), WORDLESS)
def test_what_sglang_fails_of_is_400(generating: Served, embedding: Served, path: str, body: dict[str, Any]) -> None:
    status, _, told = answered((embedding if path == "/encode" else generating).port, own(path, body))
    assert (status, json.loads(told)["error"]["code"]) == (400, 400)


def test_the_stand_in_knows_what_would_have_ended_it() -> None:
    known = [why_deadly(path.replace("/generative_scoring", "/v1/score"), body) for path, body in DEADLY]
    assert all(known)


@given(case=cases(tuple(OWN)))
@settings(budget, max_examples=200)
def test_no_request_is_too_strange_for_sglangs_own_routes(
    generating: Served, complaints: Complaints, case: Case
) -> None:
    judge(generating, complaints, case)


@given(case=cases())
@settings(budget, max_examples=400)
def test_no_request_is_too_strange_for_a_generating_server(
    generating: Served, complaints: Complaints, case: Case
) -> None:
    judge(generating, complaints, case)


@given(case=cases(POOLING))
@settings(budget, max_examples=80)
def test_no_request_is_too_strange_for_an_embedding_server(
    embedding: Served, complaints: Complaints, case: Case
) -> None:
    judge(embedding, complaints, case)


@given(case=cases(POOLING))
@settings(budget, max_examples=80)
def test_no_request_is_too_strange_for_a_scoring_server(scoring: Served, complaints: Complaints, case: Case) -> None:
    judge(scoring, complaints, case)


@given(
    garbage=st.binary(min_size=1, max_size=200),
    head=st.sampled_from((b"", b"GET ", b"POST /v1/completions HTTP/1.1\r\n")),
)
@settings(budget, max_examples=60)
def test_what_is_no_http_is_answered_or_left_and_the_next_is_served(
    generating: Served, complaints: Complaints, garbage: bytes, head: bytes
) -> None:
    complaints.found.clear()
    generating.raw(head + garbage + b"\r\n\r\nconnection: close\r\n\r\n\0")
    assert generating.get("/health").status_code == 200
    assert complaints.found == []
