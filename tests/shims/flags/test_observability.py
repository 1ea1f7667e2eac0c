"""Logs, metrics, traces, profiles, the watchdog: what vLLM's flags of them become."""

from __future__ import annotations

from typing import Any

import pytest

from shims.exceptions import Refused
from shims.plan import Plan
from tests.shims.conftest import MakePlan

PREFIXES = "--uvicorn-access-log-exclude-prefixes"


def value_of(made: Plan, flag: str) -> list[str] | None:
    argv = list(made.engines[0].argv)
    if flag not in argv:
        return None
    rest = argv[argv.index(flag) + 1 :]
    end = next((index for index, word in enumerate(rest) if word.startswith("--")), len(rest))
    return rest[:end]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--enable-log-requests"], {"--log-requests": [], "--log-requests-level": ["1"]}),
        (["--disable-log-requests"], {"--log-requests": None, "--log-requests-level": None}),
        (["--enable-log-requests", "--enable-log-outputs"], {"--log-requests": [], "--log-requests-level": ["3"]}),
        (["--enable-log-outputs", "--enable-log-requests", "--max-log-len", "10"], {"--log-requests-level": ["2"]}),
        (["--log-level", "WARNING"], {"--log-level": ["warning"]}),
        (["--log-level", "NOTSET"], {"--log-level": ["warning"]}),
        (["--logging-config", '{"log_level": "DEBUG"}'], {"--log-level": ["debug"]}),
        (["--logging-config.log_level", "ERROR"], {"--log-level": ["error"]}),
        (["--logging-config", '{"log_level": "DEBUG"}', "--log-level", "ERROR"], {"--log-level": ["error"]}),
        (["--uvicorn-log-level", "trace"], {"--log-level-http": ["trace"]}),
        (["--disable-uvicorn-access-log"], {"--log-level-http": ["warning"]}),
        (["--disable-uvicorn-access-log", "--uvicorn-log-level", "error"], {"--log-level-http": ["error"]}),
        (["--disable-uvicorn-access-log", "--uvicorn-log-level", "debug"], {"--log-level-http": ["warning"]}),
        ([], {PREFIXES: ["/health"]}),
        (
            ["--disable-access-log-for-endpoints", "/metrics, /health,/ping"],
            {PREFIXES: ["/health", "/metrics", "/ping"]},
        ),
        (["--disable-access-log-for-endpoints", "/"], {PREFIXES: ["/health"]}),
        (["--disable-log-stats"], {"--enable-metrics": []}),
        (
            ["--otlp-traces-endpoint", "https://collector:4317"],
            {"--enable-trace": [], "--otlp-traces-endpoint": ["https://collector:4317"]},
        ),
        (["--enable-mfu-metrics"], {"--enable-mfu-metrics": []}),
        (["--enable-layerwise-nvtx-tracing"], {"--enable-layerwise-nvtx-marker": []}),
        ([], {"--decode-log-interval": ["10"]}),
        (["--decode-log-interval", "1"], {"--decode-log-interval": ["1"]}),
        (
            ["--watchdog-config", '{"timeout": 60, "dump_dir": "/dumps"}'],
            {"--soft-watchdog-timeout": ["60"], "--watchdog-timeout": None},
        ),
        (["--watchdog-config", '{"timeout": 60}'], {"--soft-watchdog-timeout": None, "--watchdog-timeout": None}),
    ],
)
def test_sglang_is_told(words: list[str], expected: dict[str, list[str] | None], make_plan: MakePlan) -> None:
    made = make_plan("serve", "m", *words)
    assert {flag: value_of(made, flag) for flag in expected} == expected


@pytest.mark.parametrize(
    ("words", "field", "expected"),
    [
        (["--uvicorn-log-level", "warning"], "log_level", "warning"),
        (["--disable-uvicorn-access-log"], "access_log", False),
        (["--enable-uvicorn-access-log"], "access_log", True),
        (
            ["--disable-access-log-for-endpoints", "/health, /metrics,/health"],
            "access_log_exclude",
            ("/health", "/metrics"),
        ),
    ],
)
def test_the_middleware_is_told(words: list[str], field: str, expected: object, make_plan: MakePlan) -> None:
    assert getattr(make_plan("serve", "m", *words).policy, field) == expected


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--enable-log-outputs"], "--enable-log-requests as well"),
        (["--collect-detailed-traces", "all"], "--otlp-traces-endpoint as well"),
        (["--otlp-traces-endpoint", "a b"], "not an address"),
        (["--logging-config", "[]"], "JSON object"),
        (["--logging-config", '{"level": "x"}'], "no 'level'"),
        (["--logging-config", '{"log_level": "LOUD"}'], "none of CRITICAL"),
        (["--logging-config", '{"log_level": []}'], "none of CRITICAL"),
        (["--logging-config", '{"formatter": []}'], "neither text nor json"),
        (["--watchdog-config", "1"], "JSON object"),
        (["--watchdog-config", '{"timeout": 0}'], "above 0"),
        (["--watchdog-config", '{"timeout": true}'], "above 0"),
        (["--watchdog-config", '{"check_interval": "x"}'], "above 0"),
        (["--watchdog-config", '{"dir": "x"}'], "no 'dir'"),
        (["--profiler-config", "[]"], "JSON object"),
        (["--profiler-config", '{"profiler": []}'], "none of torch"),
        (["--profiler-config", '{"profiler": "torch"}'], "torch_profiler_dir is missing"),
        (["--profiler-config", '{"profiler": "torch", "torch_profiler_dir": "s3://b"}'], "no folder"),
        (["--profiler-config", '{"torch_profiler_dir": "/x"}'], "for the torch profiler"),
    ],
)
def test_what_cannot_be_is_refused_by_name(words: list[str], reason: str, make_plan: MakePlan) -> None:
    with pytest.raises(Refused, match=reason):
        make_plan("serve", "m", *words)


@pytest.mark.parametrize(
    ("config", "folder"),
    [
        ({"profiler": "torch", "torch_profiler_dir": "/profiles"}, "/profiles"),
        ({"profiler": "cuda"}, None),
        ({"profiler": "proton", "proton_profiler_dir": "/x"}, None),
        ({}, None),
    ],
)
def test_the_folder_of_profiles(config: dict[str, Any], folder: str | None, make_plan: MakePlan) -> None:
    words = [word for key, value in config.items() for word in (f"--profiler-config.{key}", value)]
    made = make_plan("serve", "m", *(words or ["--profiler-config", "{}"]))
    assert made.engines[0].env.get("SGLANG_TORCH_PROFILER_DIR") == folder
    assert made.policy.profiler == bool(config)


@pytest.mark.parametrize(
    "words",
    [["--log-config-file", "/x.json"], ["--logging-config", '{"formatter": "json", "pylogging_config_file": "/x"}']],
)
def test_a_format_of_logs_that_is_not_kept_is_said_aloud(words: list[str], make_plan: MakePlan) -> None:
    assert any(words[0] in warning for warning in make_plan("serve", "m", *words).warnings)


@pytest.mark.parametrize(
    ("field", "words", "engine_args", "number"),
    [
        ("watchdog_seconds", [], "", 300),
        ("watchdog_seconds", ["--watchdog-timeout", "900.5"], "", 901),
        ("watchdog_seconds", ["--watchdog-timeout", "900"], "--watchdog-timeout 60", 60),
        ("watchdog_seconds", ["--watchdog-config", '{"timeout": 60, "dump_dir": "/dumps"}'], "", 300),
        ("watchdog_seconds", ["--watchdog-timeout", "1e9"], "", 86400),
        ("watchdog_seconds", ["--watchdog-timeout", "inf"], "", 86400),
        ("watchdog_seconds", ["--watchdog-timeout", "nan"], "", 300),
        ("watchdog_seconds", ["--watchdog-timeout", "0"], "", 300),
        ("max_running", [], "", 0),
        ("max_running", ["--max-num-seqs", "8"], "", 8),
        ("max_running", ["--max-num-seqs", "8"], "--max-running-requests 5", 5),
    ],
)
def test_the_middleware_knows_what_sglang_runs_with_whoever_has_said_so(
    field: str, words: list[str], engine_args: str, number: int, make_plan: MakePlan
) -> None:
    made = make_plan("serve", "m", *words, env={"VLLM_SHIM_ENGINE_ARGS": engine_args})
    assert getattr(made.policy, field) == number


def test_names_that_vllm_has_hidden_are_served_whether_asked_for_or_not(make_plan: MakePlan) -> None:
    made = make_plan("serve", "m", "--show-hidden-metrics-for-version", "0.11")
    (found,) = (d for d in made.decisions if d.name == "--show-hidden-metrics-for-version")
    assert (found.action, found.target) == ("ours", "/metrics has the older names beside today's")


@pytest.mark.parametrize(
    ("words", "engine_args"), [([], "--decode-log-interval 1"), (["--decode-log-interval", "1"], "")]
)
def test_what_the_operator_overrides_is_not_reported_as_added(
    words: list[str], engine_args: str, make_plan: MakePlan
) -> None:
    made = make_plan("serve", "m", *words, env={"VLLM_SHIM_ENGINE_ARGS": engine_args})
    assert value_of(made, "--decode-log-interval") == ["1"]
    assert not [target for target, _ in made.added if "--decode-log-interval" in target]
