"""The command line and the environment: what they become, and what is refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from middleware.settings import Settings, SettingsError, read_settings

UPSTREAM = ["--upstream", "http://127.0.0.1:8001"]


def test_everything_that_can_be_said() -> None:
    environ = {
        "VLLM_SHIM_API_KEYS": '["a", "b"]',
        "VLLM_SHIM_STRIP_PARAMS": "logprobs, top_logprobs,,",
        "VLLM_SHIM_EXPOSE_ROUTES": "/flush_cache, abort_request",
    }
    argv = [*UPSTREAM, "--port", "8002", "--fd", "0", "--ready-file", "/run/ready", "--engine-log", "/log/sglang.log"]
    found = read_settings([*argv, "--served-model-name", "A", "org/B"], environ)
    assert found.stalled_file == Path("/run/ready.stalled")
    assert found == Settings(
        upstream_host="127.0.0.1",
        upstream_port=8001,
        port=8002,
        fd=0,
        ready_file=Path("/run/ready"),
        engine_log=Path("/log/sglang.log"),
        served_model_names=("A", "org/B"),
        api_keys=("a", "b"),
        strip_params=frozenset({"logprobs", "top_logprobs"}),
        expose_routes=("/flush_cache", "/abort_request"),
    )


@pytest.mark.parametrize("keys", ["", "[]", None])
def test_no_keys_is_an_open_server(keys: str | None) -> None:
    environ = {} if keys is None else {"VLLM_SHIM_API_KEYS": keys}
    assert read_settings([*UPSTREAM, "--port", "1"], environ).api_keys == ()


def test_keys_leave_the_environment_and_are_never_shown() -> None:
    environ = {"VLLM_SHIM_API_KEYS": '["sk-secret"]'}
    settings = read_settings([*UPSTREAM, "--port", "1"], environ)
    assert environ == {}
    assert "sk-secret" not in repr(settings)


@pytest.mark.parametrize(
    ("argv", "environ", "words"),
    [
        ([], {}, "--upstream"),
        (UPSTREAM, {}, "--port or --fd"),
        ([*UPSTREAM, "--port", "0"], {}, "not a port"),
        ([*UPSTREAM, "--port", "70000"], {}, "not a port"),
        ([*UPSTREAM, "--port", "x"], {}, "--port"),
        ([*UPSTREAM, "--port", "1", "--nonsense"], {}, "--nonsense"),
        ([*UPSTREAM, "--po", "1"], {}, "--po"),
        (["--port", "1", "--upstream", "127.0.0.1:8001"], {}, "http://127.0.0.1:8001"),
        (["--port", "1", "--upstream", "https://127.0.0.1:8001"], {}, "http://127.0.0.1:8001"),
        (["--port", "1", "--upstream", "http://127.0.0.1"], {}, "http://127.0.0.1:8001"),
        (["--port", "1", "--upstream", "http://127.0.0.1:99999"], {}, "http://127.0.0.1:8001"),
        (["--port", "1", "--upstream", "http://h:1/path"], {}, "http://127.0.0.1:8001"),
        ([*UPSTREAM, "--port", "1"], {"VLLM_SHIM_API_KEYS": "sk-secret"}, "not valid JSON"),
        ([*UPSTREAM, "--port", "1"], {"VLLM_SHIM_API_KEYS": '"sk-secret"'}, "list of non-empty strings"),
        ([*UPSTREAM, "--port", "1"], {"VLLM_SHIM_API_KEYS": '["sk-secret", ""]'}, "list of non-empty strings"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_sentence(argv: list[str], environ: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError, match=words) as caught:
        read_settings(argv, environ)
    assert "\n" not in str(caught.value)
    assert "sk-secret" not in str(caught.value)
