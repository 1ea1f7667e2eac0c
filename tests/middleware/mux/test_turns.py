"""Several models behind one port: each has its turn, requests wait for it, and never do two stand where one fits."""

from __future__ import annotations

import os
import signal
import socket
import struct
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from switcher.spec import Tier
from tests.middleware.mux.several import Several, member, several
from tests.middleware.serving import PATIENCE, wait_for


@pytest.fixture(scope="module")
def both() -> Iterator[Several]:
    with several(member("a", names=("a", "alias-of-a", "org/a")), member("b")) as front:
        yield front
        assert front.violations() == ""


def test_streams_and_plain_requests_for_both_are_all_answered(both: Several) -> None:
    def ask(number: int) -> tuple[int, str, str]:
        name = "ab"[number % 2]
        with httpx.Client(base_url=both.url, timeout=PATIENCE, trust_env=False) as client:
            body = {"model": name, "messages": [{"role": "user", "content": "hi"}], "stream": number % 4 > 1}
            answer = client.post("/v1/chat/completions", json=body)
            return answer.status_code, name, answer.text

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(ask, range(24)))
    assert {status for status, _, _ in answers} == {200}
    assert all(f'"model":"{name}"' in text for _, name, text in answers)
    assert all(("data: [DONE]" in text) == (number % 4 > 1) for number, (_, _, text) in enumerate(answers))
    assert both.violations() == ""


@pytest.mark.parametrize("name", ["alias-of-a", "org/a"])
def test_an_alias_is_its_model(both: Several, name: str) -> None:
    answer = both.chat(name)
    assert answer.status_code == 200
    assert answer.json()["model"] == name
    assert both.state("a") == "awake"


def test_a_path_names_the_model_of_any_request(both: Several) -> None:
    answer = both.post("/upstream/org/a/v1/completions", json={"prompt": "hi", "max_tokens": 2})
    assert (answer.status_code, answer.json()["model"]) == (200, "a")
    both.post("/upstream/b/tokenize", json={"prompt": "hi"})
    assert both.state("b") == "awake"


def test_a_form_names_its_model(both: Several) -> None:
    """The stand-in hears nothing, and says so: it is the right one that does."""
    both.chat("a")
    files = {"file": ("a.wav", b"RIFF" + b"\0" * 100_000, "audio/wav")}
    both.post("/v1/audio/transcriptions", files=files, data={"model": "b"})
    assert both.state("b") == "awake"


def test_a_query_names_the_model(both: Several) -> None:
    answer = both.post("/v1/completions?model=a", json={"prompt": "hi", "max_tokens": 2})
    assert answer.json()["model"] == "a"


def test_an_unknown_model_is_vllms_404_and_wakes_nobody(both: Several) -> None:
    before = both.get("/running").json()["timeline"]
    answer = both.chat("nobody")
    assert answer.status_code == 404
    assert answer.json()["error"]["message"].startswith("The model `nobody` does not exist.")
    assert both.post("/upstream/nobody/v1/completions", json={}).status_code == 404
    assert both.get("/running").json()["timeline"] == before


def test_without_a_default_a_request_must_name_its_model(both: Several) -> None:
    answer = both.chat(None)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "The request names no model. Give one of: a, b."


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"model": NaN}', b""])
def test_what_is_no_json_is_refused_as_by_one_model(both: Several, body: bytes) -> None:
    answer = both.post("/v1/chat/completions", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"]["type"]


def test_a_path_that_no_model_has_is_a_404_and_wakes_nobody(both: Several) -> None:
    before = both.get("/running").json()["timeline"]
    assert both.post("/v1/nothing", json={"model": "a"}).json() == {"detail": "Not Found"}
    assert both.get("/v1/chat/completions").status_code == 405
    assert both.get("/running").json()["timeline"] == before


def test_orders_are_closed_without_a_key(both: Several) -> None:
    answer = both.post("/models/a/unload")
    assert answer.status_code == 403
    assert "VLLM_SERVER_DEV_MODE" in answer.json()["error"]["message"]


def test_the_server_is_healthy_while_everybody_is_stopped() -> None:
    with several(member("a"), member("b")) as front:
        assert [front.get(path).status_code for path in ("/health", "/ping", "/ready")] == [200, 200, 200]
        assert front.get("/version").json()["version"]
        assert front.pid("a") == front.pid("b") == 0


def test_a_client_that_leaves_during_a_switch_disturbs_nobody() -> None:
    slow = {"STANDIN_LOAD_SECONDS": "1"}
    with several(member("a"), member("b"), engine_env={"b": slow}) as front:
        assert front.chat("a").status_code == 200
        body = b'{"model":"b","messages":[{"role":"user","content":"hi"}]}'
        head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        head += b"content-length: %d\r\n\r\n"
        with socket.create_connection(("127.0.0.1", front.port)) as sock:
            sock.sendall(head % len(body) + body)
            front.wait_state("b", "starting")
        assert front.chat("a").status_code == 200
        assert front.chat("b").status_code == 200
        assert front.violations() == ""


def test_a_member_that_is_killed_comes_back_and_the_other_serves() -> None:
    with several(member("a"), member("b")) as front:
        assert front.chat("a").status_code == 200
        os.kill(front.pid("a"), signal.SIGKILL)
        wait_for(lambda: front.state("a") != "awake", "its death is noticed")
        assert front.chat("b").status_code == 200
        wait_for(lambda: front.chat("a").status_code == 200, "it serves again")
        assert front.violations() == ""


def test_a_model_that_cannot_start_is_a_503_with_its_cause_and_the_other_serves() -> None:
    with several(member("a"), member("b"), engine_env={"b": {"STANDIN_EXIT": "3"}}) as front:
        assert front.chat("a").status_code == 200
        answer = front.chat("b")
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) >= 1
        assert "ended before it was ready" in answer.json()["error"]["message"]
        assert front.chat("a").status_code == 200
        assert front.get("/health").status_code == 200


def test_who_waits_too_long_is_told_when_to_come_again() -> None:
    slow = {"STANDIN_LOAD_SECONDS": "30"}
    with several(member("a"), engine_env={"a": slow}, request_seconds=0.5) as front:
        answer = front.chat("a")
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        assert answer.json()["error"]["type"] == "ServiceUnavailableError"


def test_a_queued_stream_is_told_its_place_and_then_goes_on() -> None:
    slow = {"STANDIN_LOAD_SECONDS": "2.5"}
    with several(member("a"), engine_env={"a": slow}) as front:
        body = {"model": "a", "messages": [{"role": "user", "content": "hi"}], "stream": True, "max_tokens": 3}
        with front.client.stream("POST", "/v1/chat/completions", json=body) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert front.state("a") == "starting"  # its head was here before the model
            text = "".join(answer.iter_text())
        assert text.startswith(": queued, place 1\n\n")
        assert '"content"' in text
        assert text.endswith("data: [DONE]\n\n")


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_an_error_behind_a_place_in_the_queue_is_an_event(path: str) -> None:
    slow = {"STANDIN_LOAD_SECONDS": "30"}
    with several(member("a"), engine_env={"a": slow}, request_seconds=1.5) as front:
        body = {"model": "a", "messages": [{"role": "user", "content": "hi"}], "stream": True, "max_tokens": 3}
        answer = front.post(path, json=body)
        assert answer.status_code == 200
        events = answer.text.split("\n\n")
        assert events[0] == ": queued, place 1"
        if path == "/v1/messages":
            assert events[1].startswith('event: error\ndata: {"type":"error"')
        else:
            assert events[1].startswith('data: {"error":{"message":"The model')
            assert events[2] == "data: [DONE]"


def test_running_requests_end_with_an_error_when_the_drain_has_lasted_too_long() -> None:
    with several(member("a", drain_seconds=0.5, max_wait_seconds=0.5), member("b")) as front:
        assert front.chat("a").status_code == 200
        told: list[str] = []

        def listen() -> None:
            with httpx.Client(base_url=front.url, timeout=PATIENCE, trust_env=False) as client:
                body = {"model": "a", "messages": [{"role": "user", "content": "hi"}], "stream": True}
                slow = {"x-standin-delay-ms": "500"}
                told.append(client.post("/v1/chat/completions", json=body | {"max_tokens": 400}, headers=slow).text)

        listener = threading.Thread(target=listen)
        listener.start()
        wait_for(lambda: front.member("a")["in_flight"] == 1, "it runs")
        assert front.chat("b").status_code == 200
        listener.join(PATIENCE)
        assert "The model was needed elsewhere before the answer was finished. Please retry." in told[0]
        assert told[0].endswith("data: [DONE]\n\n")


def test_models_on_different_devices_are_awake_side_by_side() -> None:
    alone = {"STANDIN_DEVICE": ""}
    pair = (member("a", devices=(0,)), member("b", devices=(1,)))
    with several(*pair, engine_env={"a": alone, "b": alone}) as front:
        assert [front.chat(name).status_code for name in "ab"] == [200, 200]
        assert (front.state("a"), front.state("b")) == ("awake", "awake")


def test_what_an_earlier_middleware_left_running_is_stopped_first() -> None:
    with several(member("a"), member("b")) as front:
        front.chat("a")
        pid = front.pid("a")
        with front.another() as second:
            assert second.chat("b").status_code == 200
            assert not os.path.exists(f"/proc/{pid}")  # noqa: PTH110
            assert second.violations() == ""


@pytest.mark.parametrize("tier", [Tier.CPU, Tier.DISK])
def test_a_tier_keeps_the_process_and_gives_the_memory_back(tier: Tier, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", 2) + b"{}")
    pair = [member(name, tier=tier) for name in "ab"]
    policy = {"sleep_mode": True, "weights_backup": tier is Tier.CPU, "model_path": str(tmp_path)}
    with several(*pair, policy=policy) as front:
        assert [front.chat(name).status_code for name in "ab"] == [200, 200]
        first = front.pid("a"), front.pid("b")
        for name in "abab":
            answer = front.chat(name)
            assert (answer.status_code, answer.json()["model"]) == (200, name)
        assert (front.pid("a"), front.pid("b")) == first
        assert (front.state("a"), front.state("b")) == ("asleep", "awake")
        assert front.violations() == ""
        assert ("/update_weights_from_disk" in front.log("a")) == (tier is Tier.DISK)


def test_one_whose_weights_cannot_be_read_again_is_started_anew_and_from_then_on_stopped() -> None:
    pair = [member(name, tier=Tier.DISK) for name in "ab"]
    with several(*pair, policy={"sleep_mode": True, "model_path": "/no/such/folder"}) as front:
        for name in "ababa":
            assert front.chat(name).status_code == 200
        told = front.member("b")
        assert told["state"] == "stopped"
        assert "did not wake" in told["no_release"]
        assert front.log("b").count("/release_memory_occupation") == 1
        assert front.violations() == ""


def test_one_that_hangs_as_it_wakes_is_started_anew_and_from_then_on_stopped() -> None:
    pair = [member("a", tier=Tier.CPU, switch_seconds=3.0), member("b", tier=Tier.CPU)]
    hangs = {"a": {"STANDIN_RESUME_SECONDS": "100"}}
    with several(*pair, policy={"sleep_mode": True, "weights_backup": True}, engine_env=hangs) as front:
        assert [front.chat(name).status_code for name in "abab"] == [200] * 4
        told = front.member("a")
        assert (told["state"], front.member("b")["state"]) == ("stopped", "awake")
        assert "did not wake: it had too little time" in told["no_release"]
        assert front.violations() == ""


def test_one_that_was_lost_in_its_sleep_is_started_anew(tmp_path: Path) -> None:
    word = tmp_path / "ready"
    pair = [member("a", tier=Tier.CPU, ready_file=str(word)), member("b", tier=Tier.CPU)]
    with several(*pair, policy={"sleep_mode": True, "weights_backup": True}) as front:
        assert [front.chat(name).status_code for name in "ab"] == [200] * 2
        first = front.pid("a")
        word.unlink()  # as supervision does when the process ends
        wait_for(lambda: front.get("/upstream/a/health").status_code == 503, "it is taken for lost")
        assert front.chat("a").status_code == 200
        assert front.pid("a") not in (0, first)
        assert front.violations() == ""


def test_a_release_that_frees_nothing_ends_in_a_stop_and_says_why() -> None:
    pair = [member(name, tier=Tier.CPU) for name in "ab"]
    nothing = {"a": {"STANDIN_FREES_NOTHING": "1"}}
    with several(*pair, policy={"sleep_mode": True, "weights_backup": True}, engine_env=nothing) as front:
        assert [front.chat(name).status_code for name in "ab"] == [200, 200]
        told = front.member("a")
        assert told["state"] == "stopped"
        assert "torch_memory_saver" in told["no_release"]
        assert front.pid("a") == 0
        assert front.log("a").count("/release_memory_occupation") == 1
        assert [front.chat(name).status_code for name in "ab"] == [200, 200]
        assert front.log("a").count("/release_memory_occupation") == 1  # once was enough
        assert front.violations() == ""


def test_another_server_is_forwarded_byte_by_byte() -> None:
    other = member("c", kind="other", health="/echo")
    with several(member("a"), other) as front:
        answer = front.post("/upstream/c/echo/x?y=1", content=b"as it is", headers={"content-type": "text/plain"})
        assert answer.status_code == 200
        assert answer.json()["target"] == "/echo/x?y=1"
        assert answer.json()["body"] == "as it is"
        assert front.chat("c").status_code == 200
        assert front.chat("a").status_code == 200
        assert front.violations() == ""


def test_time_is_not_lost_on_requests_that_take_turns() -> None:
    """Two that ask one after the other, one for each model: most of the time goes into no switch."""
    with several(member("a", min_residency_seconds=1.0), member("b", min_residency_seconds=1.0)) as front:
        assert [front.chat(name).status_code for name in "ab"] == [200, 200]
        before = front.member("a")["wakes"] + front.member("b")["wakes"]

        def loop(name: str) -> None:
            with httpx.Client(base_url=front.url, timeout=PATIENCE, trust_env=False) as client:
                for _ in range(10):
                    body = {"model": name, "messages": [{"role": "user", "content": "hi"}]}
                    assert client.post("/v1/chat/completions", json=body).status_code == 200
                    time.sleep(0.01)

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(loop, "ab"))
        assert front.member("a")["wakes"] + front.member("b")["wakes"] - before <= 6
