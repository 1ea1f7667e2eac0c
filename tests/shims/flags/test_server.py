"""The HTTP server's flags: address, paths, TLS, CORS, answers, the stop."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

import render_config
from middleware.policy import Policy
from shims import programs, settings
from shims.exceptions import Refused
from shims.flags.draft import Tls
from shims.plan import Plan
from supervision import drain
from tests.shims.conftest import MakePlan

CERTIFICATE = ("--ssl-certfile", "/tls/tls.crt", "--ssl-keyfile", "/tls/tls.key")


def decision(made: Plan, name: str) -> tuple[str, str, str]:
    (found,) = (d for d in made.decisions if d.name == name)
    return found.action, found.target, found.note


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param([], {}, id="vLLM's defaults"),
        pytest.param(["--allowed-origins", '["*"]'], {"allowed_origins": ("*",)}, id="all origins"),
        pytest.param(
            ["--allowed-origins", '["https://a", "https://b"]', "--allowed-methods", '["GET"]', "--allow-credentials"],
            {"allowed_origins": ("https://a", "https://b"), "allowed_methods": ("GET",), "allow_credentials": True},
            id="CORS",
        ),
        pytest.param(["--allowed-headers", "[]"], {"allowed_headers": ()}, id="no header"),
        pytest.param(["--root-path", "/api/"], {"root_path": "/api"}, id="a root path without its last slash"),
        pytest.param(["--root-path", "api"], {}, id="vLLM takes no such path off"),
        pytest.param(["--root-path", "/"], {}, id="the root"),
        pytest.param(["--enable-request-id-headers"], {"request_id_headers": True}, id="request ids"),
        pytest.param(["--enable-server-load-tracking"], {"load_tracking": True}, id="load"),
        pytest.param(["--sse-keep-alive-interval", "15"], {"sse_keep_alive_seconds": 15}, id="keep-alive"),
        pytest.param(["--enable-tokenizer-info-endpoint"], {"tokenizer_info": True}, id="tokenizer info"),
        pytest.param(["--return-tokens-as-token-ids"], {"return_tokens_as_token_ids": True}, id="token ids"),
        pytest.param(
            ["--fingerprint-mode", "custom", "--fingerprint-value", "x"],
            {"fingerprint_mode": "custom", "fingerprint_value": "x"},
            id="fingerprint",
        ),
        pytest.param(["--response-role", "bot"], {"response_role": "bot"}, id="role"),
        pytest.param(["--enable-force-include-usage"], {"force_include_usage": True}, id="usage"),
        pytest.param(["--disable-fastapi-docs"], {"documents": False}, id="no documents"),
        pytest.param(["--enable-prompt-tokens-details"], {"prompt_tokens_details": True}, id="prompt tokens"),
    ],
)
def test_the_middleware_is_told(words: list[str], expected: dict[str, object], make_plan: MakePlan) -> None:
    told = make_plan("serve", "m", *words).policy
    always = {"model_path": "m", "tool_parser": False, "auto_tool_choice": False, "cache_config": told.cache_config}
    assert told == replace(Policy(), **always, **expected)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--allowed-origins", '"*"'], "one JSON list"),
        (["--allowed-origins", '{"a": 1}'], "one JSON list"),
        (["--allowed-origins", "[1]"], "one JSON list"),
        (["--allowed-headers", '["a\\r\\nb: c"]'], "one JSON list"),
        (["--allowed-methods", '[""]'], "one JSON list"),
        (["--middleware", "auth.Middleware"], "no ASGI middleware"),
        (["--root-path", "/a b"], "not a path"),
        (["--uds", "/run/a,b.sock"], "not a path for a socket"),
        (["--uds", "/run/${HOME}.sock"], "not a path for a socket"),
        (["--uds", "/run/" + "x" * 100], "haproxy takes 97"),
        (["--port", "0"], "from 1 to 65535"),
        (["--port", "-1"], "from 1 to 65535"),
        (["--host", "a b"], "not a host name"),
        (["--shutdown-timeout", "-1"], "less than 0"),
        (["--sse-keep-alive-interval", "-1"], "less than 0"),
        (["--grpc"], "HTTP only"),
        (["--grpc-port", "50051"], "HTTP only"),
        (["--tokens-only"], "give --enable-scale-out"),
        (["--enable-per-request-metrics", "--disable-log-stats"], "vLLM refuses"),
        (["--ssl-keyfile", "/k"], "without --ssl-certfile"),
        (["--ssl-certfile", "/a\nb"], "line break"),
        (["--ssl-cert-reqs", "2"], "without --ssl-certfile"),
        ([*CERTIFICATE, "--ssl-cert-reqs", "2"], "without --ssl-ca-certs"),
        ([*CERTIFICATE, "--ssl-ca-certs", "/ca", "--ssl-cert-reqs", "3"], "0 \\(none\\), 1 \\(optional\\)"),
        ([*CERTIFICATE, "--ssl-cert-reqs", "-1"], "0 \\(none\\)"),
        ([*CERTIFICATE, "--ssl-ciphers", "a\nb"], "not a list of OpenSSL's"),
    ],
)
def test_what_cannot_be_is_refused_by_name(words: list[str], reason: str, make_plan: MakePlan) -> None:
    with pytest.raises(Refused, match=reason):
        make_plan("serve", "m", *words)


@pytest.mark.parametrize(
    "words",
    [["--middleware", "auth.M"], ["--port", "0"], ["--host", "a b"], ["--ssl-cert-reqs", "2"], ["--ssl-keyfile", "/k"]],
)
def test_what_guards_the_server_cannot_be_waived(words: list[str], make_plan: MakePlan) -> None:
    env = {"VLLM_SHIM_UNSUPPORTED": "warn", "VLLM_SHIM_IGNORE_FLAGS": words[0]}
    with pytest.raises(Refused):
        make_plan("serve", "m", *words, env=env)


@pytest.mark.parametrize(
    ("words", "served"), [(["--enable-scale-out"], True), (["--no-enable-scale-out"], False), ([], False)]
)
def test_tokens_in_and_tokens_out_are_served_where_they_are_asked_for(
    words: list[str], served: bool, make_plan: MakePlan
) -> None:
    assert make_plan("serve", "m", *words).policy.scale_out is served


def test_the_effort_of_requests_without_thoughts_is_the_middlewares_to_ask_for(make_plan: MakePlan) -> None:
    made = make_plan("serve", "m", "--anthropic-disabled-thinking-effort", "low")
    assert made.policy.disabled_thinking_effort == "low"


def test_no_middleware_is_nothing_to_refuse(make_plan: MakePlan) -> None:
    made = make_plan("serve", "m", "--anthropic-disabled-thinking-effort", "auto", "--no-tokens-only")
    assert {d.action for d in made.decisions if d.name != "model"} == {"same"}


@pytest.mark.parametrize(
    "words",
    [
        ["--sse-keep-alive-interval", "0"],
        ["--no-return-tokens-as-token-ids"],
        ["--return-tokens-as-token-ids"],
        ["--fingerprint-mode", "full"],
        ["--fingerprint-mode", "none"],
        ["--fingerprint-mode", "hash"],
        ["--fingerprint-mode", "custom", "--fingerprint-value", "x"],
        ["--enable-tokenizer-info-endpoint"],
        ["--response-role", "bot"],
        ["--disable-fastapi-docs"],
        ["--no-allow-credentials"],
    ],
)
def test_what_is_as_in_vllm_is_silent(words: list[str], make_plan: MakePlan) -> None:
    assert make_plan("serve", "m", *words).warnings == ()


def test_sglang_must_count_what_it_had_in_its_cache(make_plan: MakePlan) -> None:
    assert "--enable-cache-report" in make_plan("serve", "m", "--enable-prompt-tokens-details").engines[0].argv


def test_a_unix_socket_takes_the_place_of_the_port(make_plan: MakePlan) -> None:
    made = make_plan("serve", "m", "--uds", "/run/v 1.sock", "--port", "9000", taken_ports=frozenset({9000}))
    assert programs.bind_addresses(made) == ["'unix@/run/v 1.sock'"]
    assert "not used, as in vLLM" in decision(made, "--port")[2]
    assert "    bind 'unix@/run/v 1.sock'\n" in render_config.render(made)["haproxy.cfg"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (CERTIFICATE, Tls("/tls/tls.crt", "/tls/tls.key")),
        (("--ssl-certfile", "/both.pem"), Tls("/both.pem")),
        (
            (*CERTIFICATE, "--ssl-ca-certs", "/ca", "--ssl-cert-reqs", "2", "--enable-ssl-refresh"),
            Tls("/tls/tls.crt", "/tls/tls.key", "/ca", 2, refresh=True),
        ),
        ((*CERTIFICATE, "--ssl-ca-certs", "/ca"), Tls("/tls/tls.crt", "/tls/tls.key")),
        ((*CERTIFICATE, "--ssl-ciphers", "HIGH:!aNULL"), Tls("/tls/tls.crt", "/tls/tls.key", ciphers="HIGH:!aNULL")),
        (("--ssl-ca-certs", "/ca", "--ssl-cert-reqs", "0", "--enable-ssl-refresh", "--ssl-ciphers", "X"), Tls()),
    ],
)
def test_tls_becomes(words: tuple[str, ...], expected: Tls, make_plan: MakePlan) -> None:
    assert make_plan("serve", "m", *words).tls == expected


def test_the_bind_line_has_what_tls_asks_for_and_offers_http_1_1_alone(make_plan: MakePlan) -> None:
    words = ("--host", "0.0.0.0", "--ssl-ca-certs", "/ca", "--ssl-cert-reqs", "1", "--ssl-ciphers", "HIGH:!x")
    made = make_plan("serve", "m", *CERTIFICATE, *words, run_dir="/run/x")
    files = render_config.render(made)
    line = next(line for line in files["haproxy.cfg"].splitlines() if line.startswith("    bind"))
    assert line == (
        "    bind 0.0.0.0:8000 ssl crt '/run/x/tls/server.pem' alpn http/1.1 ciphers 'HIGH:!x'"
        " ca-file '/run/x/tls/ca.pem' verify optional"
    )
    assert "tls_dir" not in files["supervisord.conf"]
    refreshed = render_config.render(make_plan("serve", "m", *CERTIFICATE, "--enable-ssl-refresh", run_dir="/run/x"))
    assert "\ntls_dir=/run/x/tls\n" in refreshed["supervisord.conf"]


def test_without_tls_nothing_speaks_of_it(make_plan: MakePlan) -> None:
    assert "ssl" not in render_config.render(make_plan("serve", "m"))["haproxy.cfg"]


def test_health_and_metrics_are_known_below_the_root_path_too(make_plan: MakePlan) -> None:
    text = render_config.render(make_plan("serve", "m", "--root-path", "/api"))["haproxy.cfg"]
    assert "acl health path '/health' '/api/health'\n" in text
    assert "use_backend metrics if { path '/metrics' '/metrics/' '/api/metrics' '/api/metrics/' }\n" in text


@pytest.mark.parametrize(
    ("words", "env", "seconds"),
    [
        ([], {}, 15),
        (["--shutdown-timeout", "60"], {}, 55),
        (["--shutdown-timeout", "3"], {}, 1),
        (["--shutdown-timeout", "0"], {}, 0),
        (["--shutdown-timeout", "99999999999"], {}, 86395),
        (["--shutdown-timeout", "60"], {"VLLM_SHIM_DRAIN_SECONDS": "7"}, 7),
        (["--shutdown-timeout", "60"], {"VLLM_SHIM_LAME_DUCK_SECONDS": "0"}, 60),
    ],
)
def test_running_requests_have_so_long_from_sigterm_on(
    words: list[str], env: dict[str, str], seconds: int, make_plan: MakePlan
) -> None:
    """In Kubernetes, where the lame duck has the first five of them."""
    assert make_plan("serve", "m", *words, env=env, in_kubernetes=True).settings.drain_seconds == seconds


def test_a_drain_of_no_seconds_has_an_end(make_plan: MakePlan) -> None:
    """haproxy's USR1 with `hard-stop-after 0s` would wait for ever."""
    files = render_config.render(make_plan("serve", "m", "--shutdown-timeout", "0"))
    assert "\ndrain_seconds=0\n" in files["supervisord.conf"]
    assert "hard-stop-after 2s" in files["haproxy.cfg"]


def test_haproxy_is_given_more_than_the_drain_and_its_last_words(make_plan: MakePlan) -> None:
    made = make_plan("serve", "m", "--shutdown-timeout", "20")
    files = render_config.render(made)
    assert drain.LAST_WORDS_SECONDS == settings.LAST_WORDS_SECONDS
    (stop,) = re.findall(r"^stopsignal=USR1\nstopwaitsecs=(\d+)$", files["supervisord.conf"], re.MULTILINE)
    (hard_stop,) = re.findall(r"hard-stop-after (\d+)s$", files["haproxy.cfg"], re.MULTILINE)
    assert min(int(stop), int(hard_stop)) > made.settings.drain_seconds + drain.LAST_WORDS_SECONDS


def test_a_worker_rank_has_sglang_alone_and_time_for_the_drain_of_rank_0(make_plan: MakePlan) -> None:
    made = replace(make_plan("serve", "m", in_kubernetes=True), front_door=False)
    files = render_config.render(made)
    assert set(files) == {"supervisord.conf", "plan.json"}
    text = files["supervisord.conf"]
    assert made.programs == ("sglang",)
    assert "[program:sglang]" in text
    assert "program:middleware" not in text
    assert "haproxy]" not in text
    assert "\nworker_rank=yes\n" in text
    assert "ready_dir" not in text
    assert "\nstopwaitsecs=29\n" in text
