"""The page's port as a browser asks it: the files, the stream of events, orders, logs, and what is never in them."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from middleware.page.app import FILES, MOST_STREAMS
from tests.middleware.mux.several import Several, member, several
from tests.middleware.serving import PATIENCE, Served, free_port, middleware, served, stand_in

KEY = "s3cret-key"


class Page(Served):
    def order(self, name: str, word: str, **headers: str) -> httpx.Response:
        return self.post(f"/shim/models/{name}/{word}", headers={"origin": self.url, **headers})


@contextlib.contextmanager
def told(page: Served, path: str = "/shim/events") -> Iterator[Iterator[tuple[str, Any]]]:
    """Its events: name and document."""
    with page.client.stream("GET", path) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")

        def read() -> Iterator[tuple[str, Any]]:
            name = ""
            for line in answer.iter_lines():
                word, _, rest = line.partition(": ")
                if word == "event":
                    name = rest
                elif word == "data":
                    yield name, json.loads(rest)

        yield read()


def until_state(events: Iterator[tuple[str, Any]], name: str, state: str) -> None:
    for kind, document in events:
        if kind == "models" and state in [one["state"] for one in document["models"] if one["model"] == name]:
            return
    raise AssertionError("the stream has ended")


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Several, Page]]:
    log = tmp_path_factory.mktemp("logs") / "sglang-a.log"
    log.write_text(f"it is up\nBearer {KEY} came\n")
    port = free_port()
    a = replace(member("a", names=("a", "org/a"), devices=(0,)), engine_log=str(log))
    b = member("b", devices=(0,))
    with several(a, b, settings={"api_keys": (KEY,), "page_port": port}, device_memory={0: 1.0}) as front:
        front.client.headers["authorization"] = f"Bearer {KEY}"
        page = Page(port)
        with page.client:
            yield front, page


@pytest.mark.parametrize("name", FILES)
def test_its_files_say_that_nothing_of_another_site_belongs_to_them(both: tuple[Several, Page], name: str) -> None:
    _, page = both
    answer = page.get(f"/shim/{name}")
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "http" not in answer.text.replace("http://www.w3.org/2000/svg", "")


def test_its_port_leads_to_the_page_and_has_no_api(both: tuple[Several, Page]) -> None:
    _, page = both
    assert page.get("/").headers["location"] == "/shim/"
    assert page.get("/v1/models").status_code == 404
    assert page.get("/metrics").status_code == 404


def test_the_public_port_has_no_page(both: tuple[Several, Page]) -> None:
    front, _ = both
    assert front.get("/shim/").status_code == 404
    assert front.get("/shim/events").status_code == 404


def test_an_order_changes_a_state_and_the_stream_tells_of_it(both: tuple[Several, Page]) -> None:
    front, page = both
    with told(page) as events:
        assert page.order("b", "load").json() == {"model": "b", "state": "awake"}
        until_state(events, "b", "awake")
        assert page.order("b", "unload").json() == {"model": "b", "state": "stopped"}
        until_state(events, "b", "stopped")
        timeline = next(document for kind, document in events if kind == "timeline")
    assert (timeline[-1]["model"], timeline[-1]["to"]) == ("b", "stopped")
    assert front.state("b") == "stopped"


def test_a_request_of_the_api_is_seen_too(both: tuple[Several, Page]) -> None:
    front, page = both
    with told(page) as events:
        assert front.chat("a").status_code == 200
        until_state(events, "a", "awake")
        seen: dict[str, Any] = {}
        for kind, document in events:
            is_told = kind == "models" and document["numbers"].get("a")
            if is_told and document["devices"] == [{"name": "device 0", "used_gib": 0.5, "declared_gib": 1.0}]:
                seen = document
                break
    assert seen["numbers"]["a"]["finished"] >= 1
    assert seen["logs"] == ["sglang-a"]


def test_a_log_is_told_without_the_servers_keys(both: tuple[Several, Page]) -> None:
    _, page = both
    with told(page, "/shim/logs/sglang-a") as events:
        assert next(events) == ("lines", ["it is up", "Bearer *** came"])


@pytest.mark.parametrize("name", ["sglang-b", "nobody", "../supervisord", "%2e%2e/supervisord"])
def test_only_a_models_log_can_be_read(both: tuple[Several, Page], name: str) -> None:
    _, page = both
    assert page.get(f"/shim/logs/{name}").status_code == 404


def test_an_order_of_another_site_is_refused_and_changes_nothing(both: tuple[Several, Page]) -> None:
    front, page = both
    before = front.member("b")["wakes"]
    assert page.order("b", "load", origin="http://evil.example").status_code == 403
    assert page.post("/shim/models/b/load").status_code == 403
    answer = page.get("/shim/events", headers={"host": "evil.example"})
    assert answer.status_code == 403
    assert "localhost" in answer.json()["error"]["message"]
    assert front.member("b")["wakes"] == before


def test_a_wrong_order_says_what_there_is(both: tuple[Several, Page]) -> None:
    _, page = both
    assert "load, unload" in page.order("a", "explode").json()["error"]["message"]
    assert page.order("nobody", "load").status_code == 404


def test_tabs_that_were_forgotten_take_a_bounded_place(both: tuple[Several, Page]) -> None:
    _, page = both
    with contextlib.ExitStack() as tabs:
        client = tabs.enter_context(httpx.Client(base_url=page.url, timeout=PATIENCE, trust_env=False))
        held = []
        for _ in range(MOST_STREAMS):
            held.append(tabs.enter_context(client.stream("GET", "/shim/events")).iter_lines())
            next(held[-1])
        with page.client.stream("GET", "/shim/events") as answer:
            assert answer.status_code == 503
            assert b"close a tab" in answer.read()
    # Those that are closed are gone.
    for _ in range(200):
        with page.client.stream("GET", "/shim/events") as answer:
            if answer.status_code == 200:
                return
    raise AssertionError("its streams are counted for good")


def test_the_page_of_one_model_tells_of_its_engine(tmp_path: Path) -> None:
    port = free_port()
    plan = {"models": ["one"], "decisions": [{"name": "--seed", "kind": "flag", "value": "7", "action": "same"}]}
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    (tmp_path / "sglang.log").write_text("loaded\n")
    with stand_in("--served-model-name", "one") as engine:
        given: dict[str, Any] = {"control_socket": tmp_path / "control.sock", "engine_log": tmp_path / "sglang.log"}
        with (
            middleware(engine.port, served_model_names=("one",), page_port=port, **given) as front,
            served(port) as page,
        ):
            body = {"model": "one", "messages": [{"role": "user", "content": "hi"}]}
            assert front.post("/v1/chat/completions", json=body).status_code == 200
            with told(page) as events:
                kind, server = next(events)
                assert kind == "server"
                assert server["orders"] == []
                assert [one["name"] for one in server["plan"]["decisions"]] == ["--seed"]
                until_state(events, "one", "ready")
                engine.crash()
                until_state(events, "one", "gone")
                timeline = next(document for kind, document in events if kind == "timeline")
                assert timeline[-1]["to"] == "gone"
            with told(page, "/shim/logs/sglang") as events:
                assert next(events) == ("lines", ["loaded"])
            answer = page.post("/shim/models/one/load", headers={"origin": page.url})
            assert "takes none" in answer.json()["error"]["message"]


def test_a_port_that_is_taken_is_no_reason_not_to_serve() -> None:
    with socket.socket() as taken, stand_in() as engine:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with middleware(engine.port, page_port=taken.getsockname()[1]) as front:
            assert front.get("/health").status_code == 200
