"""The control socket, as the server's own user asks it: how the server is, and the two orders to the engine."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from middleware import control as orders
from middleware.control import listening_socket
from middleware.endpoints.batch import AT_ONCE
from middleware.masking import Mask
from middleware.recent import Recent
from tests.middleware.endpoints import sglang
from tests.middleware.endpoints.sglang import Sglang
from tests.middleware.metrics.answers import CHAT, CHATS, GENERATE, chat_chunks, stream
from tests.middleware.serving import PATIENCE, Served, middleware, stand_in, wait_for
from tests.middleware.test_main import running, stopped

PROMPT = "a prompt that nobody else is to read"
KEY = "s3cret-key"


class Socket:
    def __init__(self, path: Path) -> None:
        self.path = path
        transport = httpx.HTTPTransport(uds=str(path))
        self.client = httpx.Client(transport=transport, base_url="http://control", timeout=PATIENCE)

    def status(self) -> dict[str, Any]:
        answer = self.client.get("/status")
        assert answer.status_code == 200
        document: dict[str, Any] = answer.json()
        return document

    def in_flight(self) -> int:
        number: int = self.status()["middleware"]["requests"]["in_flight"]
        return number


@pytest.fixture
def behind() -> Iterator[Served]:
    with stand_in("--served-model-name", "stand-in") as engine:
        yield engine


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "control.sock"


@pytest.fixture
def front(behind: Served, path: Path) -> Iterator[Served]:
    with middleware(behind.port, control_socket=path, api_keys=(KEY,)) as server:
        wait_for(path.exists, "the control socket is there")
        server.client.headers["authorization"] = f"Bearer {KEY}"
        yield server


@pytest.fixture
def control(front: Served, path: Path) -> Iterator[Socket]:
    asked = Socket(path)
    with asked.client:
        yield asked


def streams(front: Served, number: int) -> tuple[list[threading.Thread], list[str]]:
    """So many streams that would take minutes; and what each was in the end."""
    ends: list[str] = []

    def read() -> None:
        body = {"model": "stand-in", "prompt": PROMPT, "max_tokens": 5000, "stream": True}
        headers = {"x-standin-delay-ms": "100"}
        with front.client.stream("POST", "/v1/completions", json=body, headers=headers) as answer:
            ends.append("".join(answer.iter_text()))

    threads = [threading.Thread(target=read) for _ in range(number)]
    for thread in threads:
        thread.start()
    return threads, ends


def test_it_is_for_its_own_user_alone_and_replaces_a_stale_one(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    with listening_socket(path):
        assert path.stat().st_mode & 0o777 == 0o600
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
    assert [entry.name for entry in tmp_path.iterdir()] == ["control.sock"]


@pytest.mark.parametrize("what", ["folder", "file", "link"])
def test_what_is_no_socket_is_replaced_where_it_holds_nothing(tmp_path: Path, what: str) -> None:
    path = tmp_path / "control.sock"
    fresh = tmp_path / f"control.sock.{os.getpid()}"
    for place in (path, fresh):
        if what == "folder":
            place.mkdir()
        elif what == "file":
            place.touch()
        else:
            place.symlink_to(tmp_path)
    with listening_socket(path), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    assert [entry.name for entry in tmp_path.iterdir()] == ["control.sock"]


def test_what_somebody_keeps_there_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    path.mkdir()
    (path / "kept").touch()
    with pytest.raises(OSError, match="not empty"):
        listening_socket(path)
    assert [entry.name for entry in tmp_path.rglob("*")] == ["control.sock", "kept"]


def test_a_socket_that_cannot_be_made_leaves_the_middleware_serving(behind: Served, tmp_path: Path) -> None:
    with middleware(behind.port, control_socket=tmp_path / "missing" / "control.sock") as front:
        assert front.get("/health").status_code == 200


def test_what_it_answers_is_not_on_tcp(front: Served) -> None:
    assert front.get("/status").status_code == 404
    assert front.post("/abort-all").status_code == 404
    assert front.post("/flush").status_code == 404


def test_it_tells_the_state_and_what_was_refused_and_rewritten_and_never_what_was_in_it(
    front: Served, control: Socket
) -> None:
    front.get("/v1/models", headers={"authorization": f"Bearer {KEY}x"})
    front.get("/nothing/here?api_key=s3cret-query")
    front.post("/v1/completions", json={"model": "stand-in", "prompt": PROMPT, "max_tokens": -770077})
    named = {"x-request-id": "named-by-the-client"}
    body = {"model": "stand-in", "prompt": PROMPT}
    front.post("/v1/completions", json=body, headers=named | {"x-standin": "drop"})
    front.post("/v1/completions", json=body, headers={"x-standin": "status=500"})
    document = control.status()
    told = document["middleware"]
    assert (told["engine"]["state"], told["engine"]["admits"]) == ("ready", True)
    assert told["refused"]["unauthorized"] == told["refused"]["no_such_route"] == 1
    assert told["failed"] == {"closed": 1, "500": 1}
    errors = [(one["status"], one["method"], one["path"]) for one in told["recent_errors"]]
    assert errors == [
        (401, "GET", "/v1/models"),
        (404, "GET", "/nothing/here"),
        (400, "POST", "/v1/completions"),
        (502, "POST", "/v1/completions"),
        (500, "POST", "/v1/completions"),
    ]
    failed = told["recent_errors"][3]
    assert failed["client_request"] == "named-by-the-client"
    assert re.fullmatch("[0-9a-f]{16}", failed["request"])
    assert told["recent_errors"][3]["why"] == "SGLang closed the connection before it had answered"
    assert not any(secret in json.dumps(document) for secret in (PROMPT, "s3cret", "-770077"))


def test_the_id_of_an_error_is_that_of_the_logs_and_no_key_is_in_any_of_it(front: Served, control: Socket) -> None:
    long = "x" * 70
    given = {"x-shim-request-id": "0123456789abcdef", "x-request-id": f"{long}{KEY}"}
    front.get(f"/v1/models/{KEY}", headers=given)
    front.get(f"/{long}/s3cret%2Dkey")
    first, second = control.status()["middleware"]["recent_errors"]
    assert (first["request"], first["client_request"]) == ("0123456789abcdef", f"{long}***")
    assert (first["path"], second["path"]) == ("/v1/models/***", f"/{long}/***")


def test_no_piece_of_a_key_is_left_where_a_long_path_is_cut() -> None:
    key = "k3y-" + "abcdefgh" * 20
    recent = Recent(Mask([key]))
    for lead in range(0, len(key), 10):
        path = "-" * lead + key * 20
        scope = {"method": "GET", "path": path, "headers": [(b"x-request-id", path.encode())]}
        recent.note(scope, 404, "no_such_route")
    assert len(recent.last) == 17
    assert not [one for one in recent.last if "k3y" in one.path + one.client_request]
    recent.note({"method": "GET", "path": "/k3y-ab", "headers": []}, 404, "no_such_route")
    assert recent.last[-1].path == "/k3y-ab"  # whole, and no key


def test_a_scanner_leaves_the_failures_of_others_where_they_are(front: Served, control: Socket) -> None:
    body = {"model": "stand-in", "prompt": PROMPT}
    for _ in range(3):
        front.post("/v1/completions", json=body, headers={"x-standin": "status=500"})
    for number in range(25):
        front.get(f"/scan/{number}", headers={"authorization": ""})
    kept = control.status()["middleware"]["recent_errors"]
    assert len(kept) == 21
    assert (kept[0]["status"], kept[0]["times"]) == (500, 3)


def test_an_error_that_is_told_inside_a_stream_is_among_the_failures(path: Path) -> None:
    failure = {"error": {"message": PROMPT, "type": "InternalServerError", "code": 500}}
    full = {"error": {"message": "The request queue is full.", "type": "x", "code": 503}}
    engine = Sglang({CHATS: stream(*chat_chunks("stop")[:2], failure), GENERATE: stream(failure)})
    with sglang.behind(engine, control_socket=path) as front:
        for asked in (CHATS, GENERATE):
            assert front.post(asked, json={**CHAT, "text": "a", "stream": True}).status_code == 200
        engine.answers[CHATS] = stream(full)
        assert front.post(CHATS, json={**CHAT, "stream": True}).status_code == 200
        with Socket(path).client as client:
            told = client.get("/status").json()["middleware"]
    assert told["failed"] == {"error": 2}
    assert told["refused"] == {"max_num_queued_reqs": 1}
    whys = [(one["status"], one["path"], one["why"]) for one in told["recent_errors"]]
    said = "SGLang told an error in the middle of its answer; its log says more"
    assert whys == [(200, CHATS, said), (200, GENERATE, said), (200, CHATS, "SGLang's queue was full")]


def test_the_last_twenty_errors_are_kept_and_nothing_of_a_client_reaches_the_terminal(
    front: Served, control: Socket
) -> None:
    for number in range(25):
        front.raw(f"GET /%1b[2J{number} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n".encode())
    kept = control.status()["middleware"]["recent_errors"]
    assert len(kept) == 20
    assert kept[-1]["path"] == "/?[2J24"


def test_abort_all_ends_what_runs_with_abort_and_says_how_many(front: Served, control: Socket) -> None:
    threads, ends = streams(front, 3)
    wait_for(lambda: control.in_flight() == 3, "three streams run")
    answer = control.client.post("/abort-all")
    assert answer.status_code == 200
    assert answer.json()["requests"] == 3
    for thread in threads:
        thread.join(PATIENCE)
    assert len(ends) == 3
    assert all('"finish_reason":"abort"' in end and end.endswith("data: [DONE]\n\n") for end in ends)
    assert control.in_flight() == 0
    assert control.client.post("/abort-all").json()["said"].startswith("0 requests ran or waited")


def test_abort_all_ends_a_batch_with_what_of_it_still_waits(front: Served, control: Socket) -> None:
    number = AT_ONCE + 40
    answers: list[Any] = []

    def ask() -> None:
        body = {**CHAT, "model": "stand-in", "max_tokens": 5000, "messages": [CHAT["messages"]] * number}
        answers.append(front.post(f"{CHATS}/batch", json=body, headers={"x-standin-delay-ms": "100"}))

    thread = threading.Thread(target=ask)
    thread.start()
    wait_for(lambda: control.in_flight() == AT_ONCE, "as many as may run at once")
    told = control.client.post("/abort-all").json()
    assert (told["requests"], told["left"]) == (AT_ONCE, 0)
    thread.join(PATIENCE)
    assert [choice["finish_reason"] for choice in answers[0].json()["choices"]] == ["abort"] * number
    body = {**CHAT, "model": "stand-in", "messages": [CHAT["messages"]] * 2}
    after = front.post(f"{CHATS}/batch", json=body).json()
    assert [choice["finish_reason"] for choice in after["choices"]] == ["stop"] * 2, "the next is served"


def test_requests_are_counted_and_not_their_choices(front: Served, control: Socket) -> None:
    body = {"model": "stand-in", "prompt": [PROMPT, PROMPT], "n": 2, "max_tokens": 5000, "stream": True}

    def ask() -> None:
        front.post("/v1/completions", json=body, headers={"x-standin-delay-ms": "100"})

    thread = threading.Thread(target=ask)
    thread.start()
    wait_for(lambda: control.in_flight() == 1, "it runs")
    assert control.status()["middleware"]["requests"]["choices"] == 4
    assert control.client.post("/abort-all").json()["said"].startswith("1 request ran or waited")
    thread.join(PATIENCE)


def test_what_becomes_of_an_order_that_sglang_took_and_did_not_answer_is_not_said(
    front: Served, control: Socket, behind: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders, "ENGINE_SECONDS", 0.5)
    assert behind.process is not None
    behind.process.send_signal(signal.SIGSTOP)
    try:
        for order, what in (("abort-all", "anything was aborted"), ("flush", "the cache was flushed")):
            answer = control.client.post(f"/{order}")
            assert (answer.status_code, answer.json()["done"]) == (504, None)
            assert answer.json()["said"].startswith(f"It is not known whether {what}: SGLang did not answer within")
            assert "may still obey" in answer.json()["said"]
    finally:
        behind.process.send_signal(signal.SIGCONT)


def test_the_control_server_says_no_second_time_that_a_process_has_started(engine: Served, tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with running(engine.port, "--control-socket", str(path)) as (program, _):
        wait_for(path.exists, "the control socket is there")
        with Socket(path).client as client:
            assert client.get("/status").json()["middleware"]["pid"] == program.pid
        log = stopped(program)
    assert log.count("Started server process") == 1


def test_flush_is_refused_with_the_number_while_requests_run(front: Served, control: Socket) -> None:
    assert control.client.post("/flush").json()["done"] is True
    threads, _ = streams(front, 2)
    wait_for(lambda: control.in_flight() == 2, "two streams run")
    answer = control.client.post("/flush")
    assert answer.status_code == 409
    said = "The cache was not flushed: SGLang flushes only while no request runs or waits, and 2 requests are with it."
    assert answer.json() == {"done": False, "requests": 2, "said": said}
    control.client.post("/abort-all")
    for thread in threads:
        thread.join(PATIENCE)


def test_orders_to_an_engine_that_loads_are_refused_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with stand_in(STANDIN_LOAD_SECONDS="600") as engine, middleware(
        engine.port, wait_ready=False, control_socket=path
    ):  # fmt: skip
        wait_for(path.exists, "the control socket is there")
        control = Socket(path)
        with control.client:
            answer = control.client.post("/abort-all")
            assert (answer.status_code, answer.json()["done"]) == (503, False)
            assert answer.json()["said"].startswith("Nothing was aborted: the engine is loading")
            document = control.status()
    assert document["ready"] is False
    assert any(problem.startswith("the engine is loading") for problem in document["problems"])
