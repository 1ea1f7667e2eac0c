"""What only asks, or is refused in any case, takes no model's turn: states, preflights, bodies that are too large."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from switcher.spec import Tier
from tests.middleware.mux.several import Several, member, several
from tests.middleware.serving import wait_for

KEY = {"authorization": "Bearer sk-one"}
NO_KEY = {"authorization": "Bearer no"}
PAGE = "http://page"
PREFLIGHT = {**NO_KEY, "origin": PAGE, "access-control-request-method": "POST"}
LIMIT = 100_000
POLICY: dict[str, Any] = {
    "allowed_origins": (PAGE,),
    "dev_mode": True,
    "max_request_body_bytes": LIMIT,
    "response_store": True,
    "sleep_mode": True,
    "weights_backup": True,
}
ECHO = {"x-standin": "echo"}


@pytest.fixture(scope="module")
def mixed() -> Iterator[Several]:
    """Two models of ours, of which one sleeps and one stops, and another server that answers below /echo."""
    members = (member("a", tier=Tier.CPU), member("b"), member("c", kind="other", health="/echo"))
    with several(*members, settings={"api_keys": ("sk-one",)}, policy=POLICY) as front:
        front.client.headers.update(KEY)
        yield front
        assert front.violations() == ""


@pytest.fixture
def resting(mixed: Several) -> Iterator[Several]:
    """All of them are stopped, and stay so."""
    for name in "abc":
        assert mixed.post(f"/models/{name}/unload").status_code == 200
    before = mixed.get("/running").json()["timeline"]
    yield mixed
    assert mixed.get("/running").json()["timeline"] == before


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/upstream/c/x", "/upstream/a/tokenize", "/models/a/load"])
def test_a_preflight_needs_no_key_and_wakes_nobody(resting: Several, path: str) -> None:
    answer = resting.client.options(path, headers=PREFLIGHT)
    assert (answer.status_code, answer.text) == (200, "OK")
    assert answer.headers["access-control-allow-origin"] == PAGE


def test_options_that_are_no_preflight_are_a_method_like_any_other(resting: Several) -> None:
    for headers in (KEY, NO_KEY):
        assert resting.client.options("/v1/chat/completions", headers=headers).status_code == 405
    assert resting.client.options("/upstream/a/v1/chat/completions").status_code == 405
    for path in ("/upstream/c/echo", "/upstream/nobody/echo"):
        assert resting.client.options(path, headers=NO_KEY).json() == {"error": "Unauthorized"}


def test_beside_another_server_what_no_sglang_has_is_vllms_404_and_405(resting: Several) -> None:
    assert resting.get("/nothing").json() == {"detail": "Not Found"}
    assert resting.post("/v1/nothing", json={"prompt": "hi"}).json() == {"detail": "Not Found"}
    assert resting.get("/v1/chat/completions").json() == {"detail": "Method Not Allowed"}
    assert resting.client.put("/health").json() == {"detail": "Method Not Allowed"}
    assert resting.post("/v1/completions", json={"prompt": "hi"}).json()["error"]["message"].startswith("The request n")


def test_another_server_that_runs_asks_for_the_key_however_it_is_named(mixed: Several) -> None:
    assert mixed.post("/upstream/c/echo").status_code == 200
    # /tokenize is open of an SGLang; /echo is nobody's for who has no key.
    for path, body, status in (
        ("/tokenize?model=c", {}, 401),
        ("/tokenize", {"model": "c"}, 401),
        ("/echo?model=c", {}, 404),
        ("/echo", {"model": "c"}, 404),
    ):
        assert mixed.post(path, headers=ECHO, json=body).status_code == 200
        assert mixed.post(path, headers={**ECHO, **NO_KEY}, json=body).status_code == status


@pytest.mark.parametrize("name", ["a", "c"])
def test_a_body_that_is_too_large_is_refused_before_anybody_wakes(resting: Several, name: str) -> None:
    body = b'{"model":"%b","prompt":"%b"}' % (name.encode(), b"x" * LIMIT)
    headers = {"content-type": "application/json"}
    for content in (body, iter((body[:9], body[9:]))):
        answer = resting.post("/v1/completions", content=content, headers=headers)
        assert answer.status_code == 413
        assert answer.json()["error"]["message"] == f"The request's body is larger than {LIMIT} bytes."


def test_a_refusal_of_anthropics_api_is_in_its_words(resting: Several) -> None:
    for path in ("/v1/messages", "/upstream/a/v1/messages"):
        answer = resting.post(path, json={"model": "a", "messages": [], "system": "x" * LIMIT})
        assert (answer.status_code, answer.json()["error"]["type"]) == (413, "request_too_large")


@pytest.mark.parametrize(
    "question",
    ["health", "ping", "ready", "is_sleeping", "is_paused", "liveness", "weight_info", "server_info", "get_world_size"],
)
def test_a_question_does_not_start_the_model_that_it_is_about(resting: Several, question: str) -> None:
    answer = resting.get(f"/upstream/a/{question}")
    assert answer.status_code == 503
    assert answer.json()["error"]["message"].startswith("The model 'a' is stopped, and is not started to be asked")


def test_what_needs_no_engine_is_told_of_a_model_that_is_stopped(resting: Several) -> None:
    assert resting.get("/upstream/a/load").json() == {"server_load": 0}
    assert "vllm_shim:engine_state" in resting.get("/upstream/a/metrics").text
    assert resting.post("/upstream/a/is_scaling_elastic_ep").json()["is_scaling_elastic_ep"] is False
    for name in "ac":
        cards = resting.get(f"/upstream/{name}/v1/models").json()["data"]
        assert [(card["id"], card["state"]) for card in cards] == [(name, "stopped")]


@pytest.mark.parametrize("question", ["echo", "health", "metrics", "version"])
def test_a_question_does_not_start_another_server(resting: Several, question: str) -> None:
    answer = resting.get(f"/upstream/c/{question}")
    assert answer.status_code == 503
    assert "'c' is stopped" in answer.json()["error"]["message"]


def test_another_server_that_runs_answers_its_questions(mixed: Several) -> None:
    assert mixed.post("/models/c/load").status_code == 200
    assert mixed.get("/upstream/c/echo").json()["target"] == "/echo"
    assert mixed.get("/upstream/c/v1/models").json()["data"][0]["id"] == "c"


def test_a_model_that_sleeps_is_asked_without_being_woken(mixed: Several) -> None:
    assert mixed.chat("a").status_code == 200
    assert mixed.get("/upstream/a/is_sleeping").json() == {"is_sleeping": False}
    assert mixed.post("/models/a/sleep").json()["state"] == "asleep"
    wakes = mixed.member("a")["wakes"]
    assert mixed.get("/upstream/a/is_sleeping").json() == {"is_sleeping": True}
    for question in ("health", "liveness", "weight_info", "get_world_size"):
        assert mixed.get(f"/upstream/a/{question}").status_code == 200
    assert mixed.get("/upstream/a/ready").status_code == 503
    assert mixed.get("/upstream/a/v1/models").json()["data"][0]["state"] == "asleep"
    assert (mixed.state("a"), mixed.member("a")["wakes"]) == ("asleep", wakes)
    assert mixed.chat("a").status_code == 200


def test_questions_are_no_use_of_a_model_that_is_awake() -> None:
    """It is put away by its time all the same."""
    with several(member("a", ttl_seconds=1.0)) as front:
        assert front.chat("a").status_code == 200
        assert front.get("/upstream/a/health").status_code == 200
        wait_for(lambda: front.get("/upstream/a/health").status_code == 503, "its time is over")
        assert front.state("a") in ("sleeping", "stopped")


def stored(front: Several, name: str) -> str:
    """The id that SGLang is told."""
    answer = front.post("/v1/responses", json={"model": name, "input": "hi", "max_output_tokens": 4}, headers=ECHO)
    assert answer.status_code == 200
    return str(json.loads(answer.json()["body"])["request_id"])


def test_a_stored_response_is_asked_of_the_model_that_made_it(mixed: Several) -> None:
    made = {name: stored(mixed, name) for name in "ba"}
    found = mixed.get(f"/v1/responses/{made['a']}", headers=ECHO)
    assert found.json()["target"] == f"/v1/responses/{made['a']}"
    wait_for(lambda: f"GET /v1/responses/{made['a']}" in mixed.log("a"), "the line behind the answer")
    # b has stopped for a, and what it kept is gone with its process.
    before = mixed.get("/running").json()["timeline"]
    for lost in (
        mixed.get(f"/v1/responses/{made['b']}"),
        mixed.post(f"/v1/responses/{made['b']}/cancel"),
        mixed.get(f"/upstream/b/v1/responses/{made['b']}"),
        mixed.post("/v1/responses", json={"model": "b", "input": "hi", "previous_response_id": made["b"]}),
    ):
        assert lost.status_code == 404
        assert "the model 'b', which kept it, was stopped" in lost.json()["error"]["message"]
    other = mixed.post("/v1/responses", json={"model": "b", "input": "hi", "previous_response_id": made["a"]})
    assert (other.status_code, "is kept by the model 'a'" in other.json()["error"]["message"]) == (404, True)
    assert mixed.get("/running").json()["timeline"] == before


def test_a_response_that_nobody_made_is_not_found_and_wakes_nobody(resting: Several) -> None:
    answer = resting.get("/v1/responses/resp_nobody")
    assert (answer.status_code, answer.json()["error"]["param"]) == (404, "response_id")
    body = {"model": "a", "input": "hi", "previous_response_id": "resp_nobody"}
    assert resting.post("/v1/responses", json=body).status_code == 404


@pytest.mark.parametrize("wanted", [True, 1, "true"])
def test_work_in_the_background_is_refused_where_models_take_turns(resting: Several, wanted: object) -> None:
    answer = resting.post("/v1/responses", json={"model": "a", "input": "hi", "background": wanted})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "background")
    assert "take turns" in answer.json()["error"]["message"]
