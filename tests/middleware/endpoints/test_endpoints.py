"""What the middleware answers itself, with the engine there, loading, gone and hanging."""

from __future__ import annotations

from tests.middleware.serving import Served, free_port, middleware, stand_in, wait_for


def test_health_and_ping_are_200_without_a_body(front: Served) -> None:
    for answer in (front.get("/health"), front.get("/ping"), front.post("/ping")):
        assert (answer.status_code, answer.content) == (200, b"")
        assert "content-type" not in answer.headers


def test_models_are_one_card_for_each_name(front: Served) -> None:
    listing = front.get("/v1/models").json()
    assert listing["object"] == "list"
    assert [card["id"] for card in listing["data"]] == ["smollm2-135m", "alias"]
    assert {card["owned_by"] for card in listing["data"]} == {"vllm"}
    assert {card["max_model_len"] for card in listing["data"]} == {8192}


def test_metrics_are_open_without_a_key(guarded: Served) -> None:
    assert guarded.get("/metrics").status_code == 200


def assert_unavailable(server: Served, words: str) -> None:
    chat = {"model": "m", "messages": []}
    for answer in (server.get("/health"), server.get("/v1/models"), server.post("/v1/chat/completions", json=chat)):
        assert answer.status_code == 503
        assert words in answer.json()["error"]["message"]
        assert answer.json()["error"]["type"] == "ServiceUnavailableError"
        assert answer.headers["retry-after"] == "5"


def test_before_there_is_any_engine_it_answers_503() -> None:
    with middleware(free_port(), wait_ready=False) as front:
        assert_unavailable(front, "loading")
        assert front.get("/version").json()["version"] == "0.33.0"


def test_while_the_engine_loads_it_says_so() -> None:
    with stand_in(STANDIN_LOAD_SECONDS="600") as engine, middleware(engine.port, wait_ready=False) as front:
        wait_for(lambda: "its /health answers 503" in front.get("/health").text, "it has asked")
        assert_unavailable(front, "loading")
        assert front.post("/generate", json={}).status_code == 503
        assert engine.stats()["chunks"] == 0


def test_an_engine_that_dies_is_gone_and_nothing_is_sent_to_it() -> None:
    with stand_in() as engine, middleware(engine.port) as front:
        engine.crash()
        wait_for(lambda: front.get("/health").status_code == 503, "it is noticed")
        assert_unavailable(front, "gone")
