"""What ends SGLang with one request, or reaches into another's, does neither: the real engine still answers."""

from __future__ import annotations

import http.server
import json
import threading
from typing import Any

import pytest

from tests.engine.conftest import NAME
from tests.engine.test_every_flag import asked
from tests.middleware import deadly
from tests.middleware.fields.test_native import DEADLY, PARAMS
from tests.server import Server

pytestmark = pytest.mark.engine
OUTSIDE = [[10_000_000], [-1], [49152], [2**40]]
GREEDY = {"max_new_tokens": 4, "temperature": 0}


def ask(sglang: Server, path: str, body: dict[str, Any]) -> int:
    return int(sglang.client.post(path, json=body, timeout=60).status_code)


def answers(sglang: Server) -> bool:
    body = {"model": NAME, "prompt": "The capital", "max_tokens": 2}
    return ask(sglang, "/v1/completions", body) == 200


@pytest.mark.parametrize("body", DEADLY, ids=json.dumps)
def test_a_field_of_sglangs_own_that_does_harm_is_400(sglang: Server, body: dict[str, Any]) -> None:
    assert ask(sglang, "/generate", {"text": "a", "sampling_params": GREEDY, **body}) == 400
    vertex = {"instances": [{"text": "a"}], "parameters": {"sampling_params": GREEDY, **body}}
    assert ask(sglang, "/vertex_generate", vertex) == 400


def test_sampling_parameters_that_do_harm_are_400(sglang: Server) -> None:
    for params in PARAMS:
        if params != {"n": 9}:  # Too many only for the other test's server.
            assert ask(sglang, "/generate", {"text": "a", "sampling_params": params}) == 400, params


@pytest.mark.parametrize(("path", "body"), deadly.DEADLY)
def test_what_ended_an_engine_does_not(sglang: Server, path: str, body: dict[str, Any]) -> None:
    assert ask(sglang, path, {**body, "model": NAME} if "model" in body else body) < 500
    assert answers(sglang)


@pytest.mark.parametrize(("path", "body"), deadly.WORDLESS)
def test_what_the_engine_failed_of_is_400(sglang: Server, path: str, body: dict[str, Any]) -> None:
    status = ask(sglang, path, {**body, "model": NAME} if "model" in body else body)
    assert status == (404 if path == "/encode" else 400)


@pytest.mark.parametrize("ids", OUTSIDE)
def test_ids_outside_the_vocabulary_are_400_on_every_way_in(sglang: Server, ids: list[int]) -> None:
    messages = [{"role": "user", "content": "hi"}]
    for path, body in (
        ("/generate", {"input_ids": ids}),
        ("/generate", {"input_ids": [[1], ids]}),
        ("/vertex_generate", {"instances": [{"input_ids": ids}]}),
        ("/v1/completions", {"prompt": ids}),
        ("/v1/chat/completions", {"messages": messages, "input_ids": ids}),
        ("/v1/chat/completions", {"messages": messages, "stop_token_ids": ids}),
        ("/v1/detokenize", {"tokens": ids}),
        ("/generative_scoring", {"query": ids, "items": [[1]], "label_token_ids": [5]}),
        ("/generative_scoring", {"query": [1], "items": [[1]], "label_token_ids": ids}),
    ):
        assert ask(sglang, path, body) == 400, (path, body)
    assert answers(sglang)


def test_a_redirect_is_held_against_the_allowed_domains_as_its_address_is() -> None:
    """By SGLang's own loader: the middleware lets no request name this machine, where alone a test can listen."""

    class Redirecting(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302 if self.path == "/there" else 200)
            self.send_header("location", f"http://localhost:{self.server.server_port}/")  # type: ignore[attr-defined]
            self.end_headers()
            self.wfile.write(b"it was asked")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Redirecting) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/there"
        try:
            [refused, followed] = asked("sglang_media.py", [[["127.0.0.1"], url], [["127.0.0.1", "localhost"], url]])
        finally:
            server.shutdown()
            thread.join()
    assert "Media URL domain is not allowed" in refused
    assert "input domain: localhost" in refused
    assert followed == "it was asked"


def test_a_clients_id_is_its_own_on_the_way_in_and_out(sglang: Server) -> None:
    body = {"text": "The capital of France is", "sampling_params": GREEDY, "rid": "a"}
    answer = sglang.client.post("/generate", json=body).json()
    assert answer["meta_info"]["id"] == "a"
    with sglang.client.stream("POST", "/generate", json={**body, "stream": True}) as stream:
        events = [line.removeprefix("data: ") for line in stream.iter_lines() if line]
    assert events.pop() == "[DONE]"
    assert {json.loads(event)["meta_info"]["id"] for event in events} == {"a"}


def test_a_response_is_as_long_as_it_was_asked_to_be(sglang: Server) -> None:
    body = {"model": NAME, "input": "Tell me a long story.", "max_output_tokens": 5, "temperature": 0}
    answer = sglang.client.post("/v1/responses", json=body).json()
    assert (answer["usage"]["output_tokens"], answer["max_output_tokens"]) == (5, 5)
    assert answer["output"][0]["status"] == answer["status"] == "incomplete"


def test_after_all_of_it_the_engine_is_the_one_that_was_started(sglang: Server) -> None:
    assert answers(sglang)
    assert "Traceback" not in sglang.output
