"""What is asked of all models at once: the list, the numbers, the orders; and who may ask."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from middleware.mux.pages import merged
from switcher.spec import Mux
from tests.middleware.mux.several import Several, member, several
from tests.middleware.serving import PATIENCE, wait_for

KEY = {"authorization": "Bearer sk-one"}


@pytest.fixture(scope="module")
def guarded() -> Iterator[Several]:
    with several(member("a"), member("b", names=("b", "c")), settings={"api_keys": ("sk-one",)}, default="b") as front:
        front.client.headers.update(KEY)
        yield front
        assert front.violations() == ""


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/chat/completions"),
        ("GET", "/v1/models"),
        ("GET", "/models"),
        ("GET", "/running"),
        ("POST", "/models/a/load"),
        ("POST", "/upstream/a/v1/chat/completions"),
        ("POST", "/upstream/nobody/x"),
        ("GET", "/v1/nothing"),
    ],
)
def test_without_the_key_nothing_is_told_and_nobody_wakes(guarded: Several, method: str, path: str) -> None:
    before = guarded.get("/running").json()["timeline"]
    body = {"model": "a"} if method == "POST" else None
    answer = guarded.client.request(method, path, headers={"authorization": "Bearer no"}, json=body)
    assert (answer.status_code, answer.json()) == (401, {"error": "Unauthorized"})
    assert guarded.get("/running").json()["timeline"] == before


def test_every_name_is_listed_with_the_state_of_its_model(guarded: Several) -> None:
    guarded.chat("a")
    cards = guarded.get("/v1/models").json()["data"]
    assert [(one["id"], one["state"]) for one in cards] == [("a", "awake"), ("b", "stopped"), ("c", "stopped")]
    assert all(one["object"] == "model" for one in cards)
    assert guarded.get("/models").json()["data"][0]["id"] == "a"


def test_who_names_no_model_gets_the_default(guarded: Several) -> None:
    assert guarded.chat(None).json()["model"] == "b"


def test_orders_are_obeyed(guarded: Several) -> None:
    for word, state in (("load", "awake"), ("unload", "stopped"), ("wake", "awake"), ("sleep", "stopped")):
        answer = guarded.post(f"/models/a/{word}")
        assert (answer.status_code, answer.json()) == (200, {"model": "a", "state": state})
        assert guarded.state("a") == state
        assert bool(guarded.pid("a")) == (state == "awake")


@pytest.mark.parametrize(
    ("path", "words"), [("/models/a/dance", "no order"), ("/models/nobody/load", "does not exist")]
)
def test_an_order_that_cannot_be_obeyed_says_so(guarded: Several, path: str, words: str) -> None:
    answer = guarded.post(path)
    assert answer.status_code == 404
    assert words in answer.json()["error"]["message"]


def test_sleep_by_vllms_route_points_to_the_order() -> None:
    with several(member("a"), policy={"dev_mode": True}) as front:
        answer = front.post("/upstream/a/sleep")
        assert answer.status_code == 409
        assert "/models/a/sleep" in answer.json()["error"]["message"]
        assert front.post("/models/a/load").status_code == 200


def test_metrics_have_each_models_series_and_the_switchers(guarded: Several) -> None:
    guarded.chat("a")
    guarded.chat("b")
    families = {one.name: one for one in text_string_to_metric_families(guarded.get("/metrics").text)}
    served = {sample.labels["model_name"] for sample in families["vllm:request_success"].samples}
    assert served == {"a", "b"}
    now = {
        (sample.labels["model_name"], sample.labels["state"])
        for sample in families["vllm_shim:model_state"].samples
        if sample.value
    }
    assert now == {("a", "stopped"), ("b", "awake")}
    assert families["vllm_shim:model_wakes"].samples[0].value >= 1
    assert {sample.labels["phase"] for sample in families["vllm_shim:model_step_seconds"].samples} >= {"start", "stop"}
    assert len(families["process_open_fds"].samples) == 1
    for family in families.values():
        heads = [(one.name, tuple(sorted(one.labels.items()))) for one in family.samples]
        assert len(heads) == len(set(heads)), family.name


def test_a_family_stands_once_though_several_pages_have_it() -> None:
    page = b'# HELP x A.\n# TYPE x gauge\nx 1.0\n# HELP y B.\n# TYPE y gauge\ny{a="1"} 2.0\ny{model_name="own"} 3.0\n'
    text = merged([("m", page), ("n", page)])
    assert text.count("# TYPE x gauge") == 1
    assert 'x{model_name="m"} 1.0\nx{model_name="n"} 1.0\n' in text
    assert 'y{model_name="m",a="1"} 2.0' in text
    assert text.count('y{model_name="own"} 3.0') == 2


def test_a_model_that_was_never_awake_has_its_state_and_no_more() -> None:
    with several(member("a"), member("b")) as front:
        text = front.get("/metrics").text
        assert 'vllm_shim:model_state{model_name="a",state="stopped"} 1.0' in text
        assert "vllm:" not in text


def test_a_browser_may_ask_whether_it_may(guarded: Several) -> None:
    answer = guarded.client.request(
        "OPTIONS",
        "/v1/chat/completions",
        headers={"origin": "http://x", "access-control-request-method": "POST"},
    )
    assert (answer.status_code, answer.text) == (400, "Disallowed CORS origin")


def test_a_body_that_does_not_come_holds_nobody_up(guarded: Several) -> None:
    with socket.create_connection(("127.0.0.1", guarded.port), PATIENCE) as sock:
        sock.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-one\r\n"
            b"content-type: application/json\r\ncontent-length: 500\r\n\r\n{"
        )
        assert guarded.chat("b").status_code == 200


def test_a_reload_adds_removes_and_renames_and_disturbs_nobody() -> None:
    a, b, c = member("a"), member("b"), member("c", devices=(1,))
    apart = {"c": {"STANDIN_DEVICE": ""}}
    with several(a, b, c, engine_env=apart) as front:
        assert [front.chat(name).status_code for name in "ac"] == [200, 200]
        pid = front.pid("a")
        changed = Mux((replace(a, names=("a", "new-name"), ttl_seconds=900.0), c))
        (front.folder / "models.json").write_text(json.dumps(changed.to_json()))
        answer = front.control.post("/reload")
        assert answer.json() == {"done": True, "said": "The models were read again (removed: b)."}
        assert front.chat("new-name").status_code == 200
        assert front.chat("b").status_code == 404
        assert front.pid("a") == pid
        assert [one["model"] for one in front.get("/running").json()["models"]] == ["a", "c"]


def test_a_reload_of_another_process_waits_for_the_old_one_to_stop() -> None:
    a = member("a")
    with several(a, member("b")) as front:
        front.chat("a")
        pid = front.pid("a")
        changed = Mux((replace(a, command="other"), member("b", port=front.mux.members[1].port)))
        (front.folder / "models.json").write_text(json.dumps(changed.to_json()))
        assert front.control.post("/reload").status_code == 200
        assert front.chat("a").status_code == 200
        wait_for(lambda: front.pid("a") not in (pid, 0) or front.chat("a").status_code != 200, "it was replaced")
        assert front.chat("a").status_code == 200
        assert front.violations() == ""


def test_a_specification_that_cannot_be_read_changes_nothing() -> None:
    with several(member("a")) as front:
        (front.folder / "models.json").write_text("{")
        answer = front.control.post("/reload")
        assert answer.status_code == 409
        assert answer.json()["said"].startswith("Nothing was changed: ")
        assert front.chat("a").status_code == 200


def test_the_control_socket_says_how_all_models_are() -> None:
    with several(member("a"), member("b")) as front:
        assert front.control.post("/abort-all").status_code == 409
        front.chat("a")
        told = front.control.get("/status").json()["middleware"]
        assert told["engine"]["state"] == "awake: a"
        assert [one["state"] for one in told["models"]["models"]] == ["awake", "stopped"]
        assert told["engine"]["starts"] == 1
        assert front.control.post("/flush").json()["done"] is True
