"""An SGLang that is started again has forgotten what it was given: it gets it again, or requests are told why not."""

from __future__ import annotations

import contextlib
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.middleware.endpoints.training import CHAT, NAME, RL, orders
from tests.middleware.serving import (
    PATIENCE,
    STAND_IN,
    Served,
    free_port,
    middleware,
    process,
    served,
    status_of,
    wait_for,
)
from tests.middleware.weights.folders import write_weights

LOAD = "/update_weights_from_disk"
ENV = {"STANDIN_CHILDREN": "0", "STANDIN_QUIET": "1"}


@pytest.fixture
def step(tmp_path: Path) -> Path:
    return write_weights(tmp_path / "step_1")


@contextlib.contextmanager
def engine(port: int) -> Iterator[Served]:
    command = (sys.executable, str(STAND_IN), "--port", str(port), "--served-model-name", NAME)
    with process(*command, env=ENV) as running, served(port, running) as server:
        wait_for(lambda: status_of(f"{server.url}/_stats") == 200, "the stand-in listens")
        yield server


@contextlib.contextmanager
def fronted(port: int) -> Iterator[Served]:
    with middleware(port, policy=RL, served_model_names=(NAME,)) as front:
        yield front


def update(front: Served, place: Path) -> int:
    return front.post("/update_weights", json={"weight_dir": str(place)}).status_code


def dies(front: Served) -> None:
    """The middleware asks four times a second."""
    wait_for(lambda: front.get("/health").status_code == 503, "its death was noticed")


def chat(front: Served) -> tuple[int, str]:
    answer = front.post("/v1/chat/completions", json=CHAT)
    return answer.status_code, answer.text


def test_a_restarted_engine_is_given_the_last_weights_before_its_first_request(step: Path) -> None:
    port = free_port()
    with contextlib.ExitStack() as first:
        first.enter_context(engine(port))
        with fronted(port) as front:
            assert update(front, step) == 200
            first.close()
            dies(front)
            with engine(port) as second:
                wait_for(lambda: chat(front)[0] == 200, "it serves again")
                assert orders(second) == [LOAD]
                [body] = orders(second, LOAD)
                assert (body["model_path"], body["weight_version"]) == (str(step), "step_1")
                assert front.get("/weight_info").json() == {"weight_version": "step_1"}
                assert front.get("/v1/models").json()["data"][0]["id"] == NAME


def test_where_they_are_gone_requests_are_refused_until_there_are_others(step: Path) -> None:
    port = free_port()
    with contextlib.ExitStack() as first:
        first.enter_context(engine(port))
        with fronted(port) as front:
            assert update(front, step) == 200
            first.close()
            shutil.rmtree(step)
            dies(front)
            with engine(port) as second:
                wait_for(lambda: front.get("/health").status_code == 200, "it lives again")
                status, text = chat(front)
                assert status == 503
                assert "has the weights of its start, not those of 'step_1'" in text
                assert "there is no folder" in text
                assert "/update_weights or /reload_weights" in text
                assert orders(second) == []
                # As prime-rl goes on: its next step is none the wiser.
                assert front.post("/pause?mode=keep").status_code == 200
                assert update(front, write_weights(step.with_name("step_2"))) == 200
                assert front.post("/resume").status_code == 200
                assert chat(front)[0] == 200


def test_an_update_without_a_pause_lifts_it_too(step: Path) -> None:
    port = free_port()
    with contextlib.ExitStack() as first:
        first.enter_context(engine(port))
        with fronted(port) as front:
            assert update(front, step) == 200
            first.close()
            step.rename(step.with_name("away"))
            dies(front)
            with engine(port):
                wait_for(lambda: chat(front)[0] == 503 and "step_1" in chat(front)[1], "it is told why")
                assert update(front, step.with_name("away")) == 200
                assert chat(front)[0] == 200


def test_neither_a_failed_update_nor_a_resume_lets_requests_in(step: Path) -> None:
    """As prime-rl does it: pause, an update that fails, and always resume."""
    port = free_port()
    with contextlib.ExitStack() as first:
        first.enter_context(engine(port))
        with fronted(port) as front:
            assert update(front, step) == 200
            first.close()
            shutil.rmtree(step)
            dies(front)
            with engine(port) as second:
                wait_for(lambda: chat(front)[0] == 503 and "step_1" in chat(front)[1], "it is told why")
                assert front.post("/pause?mode=keep").status_code == 200
                assert chat(front)[0] == 503
                assert update(front, step) == 500
                assert front.post("/resume").status_code == 200
                assert chat(front)[0] == 503
                assert LOAD not in orders(second)
                assert front.get("/health").status_code == 200
                assert front.get("/ready").status_code == 503
                assert update(front, write_weights(step)) == 200
                assert chat(front)[0] == 200


def test_a_version_that_a_trainer_named_is_given_again_too(step: Path) -> None:
    port = free_port()
    with contextlib.ExitStack() as first:
        first.enter_context(engine(port))
        with fronted(port) as front:
            assert update(front, step) == 200
            assert front.post("/update_weight_version", json={"new_version": "42"}).status_code == 200
            first.close()
            dies(front)
            with engine(port) as second:
                wait_for(lambda: chat(front)[0] == 200, "it serves again")
                [body] = orders(second, LOAD)
                assert body["weight_version"] == "42"


def test_an_engine_that_was_never_given_others_is_ready_at_once(step: Path) -> None:
    port = free_port()
    with contextlib.ExitStack() as first:
        first.enter_context(engine(port))
        with fronted(port) as front:
            first.close()
            dies(front)
            with engine(port) as second:
                wait_for(lambda: chat(front)[0] == 200, "it serves again")
                assert orders(second) == []


def test_a_middleware_that_is_restarted_learns_from_the_engine_what_it_was_given(step: Path) -> None:
    port = free_port()
    with contextlib.ExitStack() as first:
        first.enter_context(engine(port))
        with fronted(port) as before:
            assert update(before, step) == 200
        with fronted(port) as front:
            first.close()
            dies(front)
            with engine(port) as second:
                wait_for(lambda: chat(front)[0] == 200, "it serves again")
                assert [body["model_path"] for body in orders(second, LOAD)] == [str(step)]


@pytest.mark.parametrize("path", ["/update_weights", "/pause?mode=keep", "/resume"])
def test_an_order_waits_for_an_engine_that_is_started_again(path: str, step: Path) -> None:
    """prime-rl would give up after a minute of refusals, and a large model takes longer to load."""
    port = free_port()
    got: list[int] = []
    with contextlib.ExitStack() as first:
        first.enter_context(engine(port))
        with fronted(port) as front:
            first.close()
            dies(front)
            body = {"weight_dir": str(step)} if path == "/update_weights" else None
            ordering = threading.Thread(target=lambda: got.append(front.post(path, json=body).status_code))
            ordering.start()
            with engine(port):
                ordering.join(PATIENCE)
                assert got == [200]
