"""What the server tells of itself and its switches: never a key, 404 where vLLM has none, 501 where it is not made."""

from __future__ import annotations

from typing import Any

import pytest

from middleware.endpoints.server_info import redact
from middleware.policy import Policy
from middleware.routes import ROUTES
from middleware.secrecy import REDACTED
from tests.middleware.endpoints.policies import Switched
from tests.middleware.endpoints.sglang import Sglang, behind

TOLD = {
    "api_key": "sk-engine",
    "admin_api_key": "sk-admin",
    "ssl_keyfile_password": "p4ss",
    "hf_token": "hf_x",
    "tokenizer_path": "/m",
    "max_total_tokens": 4096,
    "tp_size": 2,
    "pp_size": 1,
    "dp_size": 2,
    "extra": {"command": "--api-key sk-one", "list": ["sk-one"]},
    "version": "0.5.23",
}
# Without the switch they are answered in another way.
THERE = {route.path for route in ROUTES if route.when is None or route.when(Policy())}
SECRETS = ("sk-engine", "sk-admin", "sk-one", "p4ss", "hf_x")


def dev(**answers: Any) -> Any:
    engine = Sglang(answers={"/server_info": TOLD, **answers})
    return engine, behind(engine, policy=Switched(dev_mode=True, profiler=True), api_keys=("sk-one",))


@pytest.mark.parametrize("form", ["text", "json"])
def test_server_info_shows_no_key(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "sk-one")
    monkeypatch.setenv("VLLM_PORT_NOTE", "sk-one")
    with dev()[1] as front:
        answer = front.get(f"/server_info?config_format={form}")
        assert answer.status_code == 200
        assert list(answer.json()) == ["vllm_config", "vllm_env", "system_env"]
        assert not any(secret in answer.text for secret in SECRETS)
        assert front.get("/get_world_size").json() == {"world_size": 4}
        assert front.get("/get_world_size?include_dp=false").json() == {"world_size": 2}
        assert front.get("/get_world_size?include_dp=x").status_code == 400


@pytest.mark.parametrize("path", ["/server_info", "/get_server_info"])
def test_sglangs_own_shows_no_key_either(path: str) -> None:
    engine = Sglang(answers={"/server_info": TOLD})
    with behind(engine, expose_routes=(path,), api_keys=("sk-one",)) as front:
        assert front.get(path).status_code == 401
        answer = front.get(path, headers={"authorization": "Bearer sk-one"})
        assert answer.json()["tokenizer_path"] == "/m"
        assert answer.json()["max_total_tokens"] == 4096
        assert not any(secret in answer.text for secret in SECRETS)


def test_what_counts_as_a_secret() -> None:
    told = {"a_key": "x", "AWS_SECRET_ACCESS_KEY": "x", "token": "", "tokenizer": "x", "routing_key": "x", "n": 1}
    assert redact(told) == {**told, "a_key": REDACTED, "AWS_SECRET_ACCESS_KEY": REDACTED}


def test_the_password_in_a_url_is_hidden() -> None:
    told = {"remote": ["redis://user:pw@host:6379/0"], "endpoint": "http://host:4317", "extra": '{"password": "pw"}'}
    clean = redact(told)
    assert clean["remote"] == [f"redis://{REDACTED}@host:6379/0"]
    assert clean["endpoint"] == "http://host:4317"
    assert "pw" not in clean["extra"]


def test_a_cache_that_is_held_is_no_success() -> None:
    with dev(**{"/flush_cache": (400, b"busy")})[1] as front:
        assert front.post("/reset_prefix_cache").json() == {"success": False}
        assert front.post("/reset_mm_cache").status_code == 503
        assert front.post("/reset_prefix_cache?reset_external=maybe").status_code == 400


def test_the_external_cache_is_reset_too_if_asked() -> None:
    engine, served = dev(**{"/flush_cache": {}, "/hicache/storage-backend/clear": {}})
    with served as front:
        assert front.post("/reset_prefix_cache?reset_external=true").json() == {"success": True}
        assert [path for _, path, _ in engine.asked] == ["/flush_cache", "/hicache/storage-backend/clear"]


def test_the_profiler_is_told_in_sglangs_words() -> None:
    engine, served = dev(**{"/start_profile": {}, "/stop_profile": (500, b"no profile")})
    with served as front:
        assert front.post("/start_profile").status_code == 200
        body = {"profile_prefix": "run-1", "max_iterations": 5}
        assert front.post("/start_profile", json=body).status_code == 200
        assert engine.of("/start_profile") == [{}, {"profile_prefix": "run-1", "num_steps": 5}]
        wrong: Any
        for wrong in ({"profile_prefix": "../x"}, {"delay_iterations": 3}, {"max_iterations": "x"}, []):
            assert front.post("/start_profile", json=wrong).status_code == 400
        stopped = front.post("/stop_profile")
        assert (stopped.status_code, stopped.json()["error"]["type"]) == (500, "InternalServerError")


def test_development_routes_that_are_not_made_yet_are_501() -> None:
    with dev()[1] as front:
        answer = front.post("/reset_encoder_cache")
        assert (answer.status_code, answer.json()["error"]["type"]) == (501, "NotImplementedError")
        assert "not served yet" in answer.json()["error"]["message"]


def test_switched_off_nothing_of_it_exists() -> None:
    with behind(Sglang()) as front:
        for route in ROUTES:
            if route.path not in THERE and route.when is not None and not route.when(Policy()):
                answer = front.client.request(route.methods[0], route.path.replace("{adapter_name:path}", "a"))
                assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"}), route.path


def test_the_documents_list_the_routes_of_this_server() -> None:
    with behind(Sglang(), api_keys=("sk",)) as front:
        paths = front.get("/openapi.json").json()["paths"]
        assert "post" in paths["/v1/chat/completions"]
        assert "/sleep" not in paths
        for page in ("/docs", "/redoc"):
            assert front.get(page).headers["content-type"] == "text/html; charset=utf-8"
    with behind(Sglang(), policy=Switched(documents=False)) as front:
        assert {front.get(path).status_code for path in ("/openapi.json", "/docs", "/redoc")} == {404}


def test_our_own_version_stands_beside_vllms() -> None:
    with behind(Sglang()) as front:
        answer = front.get("/version")
        assert answer.json() == {"version": "0.33.0"}
        assert answer.headers["x-vllm-to-sglang"] == "0.1.0"


def test_stored_responses_are_sglangs_to_give() -> None:
    engine = Sglang(answers={"/v1/responses/resp_1": {"id": "resp_1"}})
    with behind(engine, policy=Switched(response_store=True)) as front:
        assert front.get("/v1/responses/resp_1").json()["id"] == "resp_1"
