"""What becomes of each environment variable: behaviours, and that none of vLLM's is forgotten."""

from __future__ import annotations

import json
from collections import Counter

import pytest

import render_config
from shims import cli, environment
from shims.catalog import catalogs
from shims.environment import AREAS, EMPTIED, TABLE, families
from shims.exceptions import Refused
from shims.facts import Facts
from shims.flags import waivers
from shims.flags.draft import Decision, Draft
from shims.plan import Plan
from tests.shims.conftest import MakePlan


def line(made: Plan, name: str) -> Decision:
    (found,) = (d for d in made.decisions if d.name == name and d.kind == "env")
    return found


def refusal(make_plan: MakePlan, *words: str, **env: str) -> str:
    with pytest.raises(Refused) as refused:
        make_plan("serve", "m", *words, env=env)
    return str(refused.value)


def test_each_variable_of_vllm_has_exactly_one_record() -> None:
    recorded = Counter(variable.name for area in AREAS for variable in area.VARIABLES)
    assert {name for name, times in recorded.items() if times > 1} == set()
    assert set(recorded) == catalogs()[0].variables


def test_no_family_takes_a_variable_of_vllm() -> None:
    """A wildcard would hide a name that nobody decided on."""
    assert not [v.name for v in families.VARIABLES if v.name.startswith("VLLM_") or v.name == "*"]


DEV = {"VLLM_SERVER_DEV_MODE": "1"}


@pytest.mark.parametrize(
    "value", ["", " ", "0", "1", "true", "-1", "inf", "nan", "9" * 5000, "x y", "[]", "{}", '"', "é", "\udcff", "a\nb"]
)
def test_no_value_of_any_ends_in_a_traceback(value: str) -> None:
    for name, variable in TABLE.items():
        draft = Draft(cli.from_words(["serve", "m"]), {name: value}, Facts())
        environment.decide(draft, waivers.read({}))
        assert [d.name for d in draft.decisions] == ([] if variable.quiet else [name])


@pytest.mark.parametrize(
    ("name", "value", "variable", "becomes"),
    [
        ("VLLM_ALLOW_LONG_MAX_MODEL_LEN", "1", "SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN", "1"),
        ("VLLM_ALLOW_LONG_MAX_MODEL_LEN", "yes", "SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN", "0"),
        ("VLLM_USE_MODELSCOPE", " True ", "SGLANG_USE_MODELSCOPE", "1"),
        ("VLLM_TORCH_PROFILER_DIR", "/p", "SGLANG_TORCH_PROFILER_DIR", "/p"),
        ("VLLM_LOGGING_CONFIG_PATH", "/l.json", "SGLANG_LOGGING_CONFIG_PATH", "/l.json"),
        ("VLLM_IMAGE_FETCH_TIMEOUT", "20", "REQUEST_TIMEOUT", "20"),
        ("VLLM_USE_DEEP_GEMM", "0", "SGLANG_ENABLE_JIT_DEEPGEMM", "0"),
        ("VLLM_ROCM_USE_AITER", "True", "SGLANG_USE_AITER", "1"),
        ("VLLM_PP_LAYER_PARTITION", "10,12", "SGLANG_PP_LAYER_PARTITION", "10,12"),
        ("VLLM_REGEX_COMPILATION_TIMEOUT_S", "5", "SGLANG_GRAMMAR_MAX_POLL_ITERATIONS", "1000"),
        ("VLLM_CPU_OMP_THREADS_BIND", "0-3|4-7", "SGLANG_CPU_OMP_THREADS_BIND", "0-3|4-7"),
        ("VLLM_ENFORCE_STRICT_TOOL_CALLING", "true", "SGLANG_TOOL_STRICT_LEVEL", "2"),
        ("VLLM_SKIP_DEEP_GEMM_WARMUP", "1", "SGLANG_JIT_DEEPGEMM_PRECOMPILE", "0"),
    ],
)
def test_a_variable_becomes_one_of_sglangs_unless_the_operator_set_that(
    name: str, value: str, variable: str, becomes: str, make_plan: MakePlan
) -> None:
    made = make_plan("serve", "m", env={name: value})
    assert made.engines[0].env[variable] == becomes
    assert line(made, name).action == "convert"
    made = make_plan("serve", "m", env={name: value, variable: "mine"})
    assert variable not in made.engines[0].env
    assert "set by the operator" in line(made, name).note


@pytest.mark.parametrize(
    ("name", "value", "flag"),
    [
        ("VLLM_ENABLE_RESPONSES_API_STORE", "1", ["--enable-response-store"]),
        ("VLLM_BATCH_INVARIANT", "1", ["--enable-deterministic-inference"]),
        ("VLLM_USE_FASTOKENS", "1", ["--tokenizer-backend", "fastokens"]),
        ("VLLM_SLEEP_WHEN_IDLE", "1", ["--sleep-on-idle"]),
        ("VLLM_LOGGING_LEVEL", "debug", ["--log-level", "debug"]),
        ("VLLM_EXECUTE_MODEL_TIMEOUT_SECONDS", "900", ["--watchdog-timeout", "900"]),
        ("VLLM_MAX_MEDIA_DOWNLOAD_SIZE_MB", "10", ["--media-url-max-file-size-mb", "10"]),
        ("VLLM_V1_USE_OUTLINES_CACHE", "0", ["--disable-outlines-disk-cache"]),
        ("VLLM_ATTENTION_BACKEND", "FLASHINFER", ["--attention-backend", "flashinfer"]),
    ],
)
def test_a_variable_becomes_a_flag_of_sglangs(name: str, value: str, flag: list[str], make_plan: MakePlan) -> None:
    argv = list(make_plan("serve", "m", env={name: value}).engines[0].argv)
    at = argv.index(flag[0])
    assert argv[at : at + len(flag)] == flag


@pytest.mark.parametrize("name", ["VLLM_BATCH_INVARIANT", "VLLM_USE_FASTOKENS", "VLLM_SLEEP_WHEN_IDLE"])
def test_a_switch_that_is_off_asks_for_nothing(name: str, make_plan: MakePlan) -> None:
    assert make_plan("serve", "m", env={name: "0"}).engines[0].argv == make_plan("serve", "m").engines[0].argv


def test_limits_of_a_request_are_the_middlewares(make_plan: MakePlan) -> None:
    made = make_plan(
        *("serve", "m"),
        env={
            "VLLM_MAX_N_SEQUENCES": "8",
            "VLLM_MAX_STOP_STRINGS": "64",
            "VLLM_MAX_COMPLETION_PROMPTS": "3",
            "VLLM_HTTP_MAX_REQUEST_BODY_SIZE": "0",
        },
    )
    policy = made.policy
    assert (policy.max_n, policy.max_stop_strings, policy.max_completion_prompts) == (8, 64, 3)
    assert policy.max_request_body_bytes == 0
    assert "SGLang itself takes 32" in line(made, "VLLM_MAX_STOP_STRINGS").note
    assert "give sequences (n) a request, 1 or more" in refusal(make_plan, VLLM_MAX_N_SEQUENCES="0")


@pytest.mark.parametrize(
    ("name", "value", "field", "expected"),
    [
        ("VLLM_SERVER_DEV_MODE", "1", "dev_mode", True),
        ("VLLM_SERVER_DEV_MODE", "0", "dev_mode", False),
        ("VLLM_ALLOW_RUNTIME_LORA_UPDATING", "True", "runtime_lora", True),
        ("VLLM_ALLOW_RUNTIME_LORA_UPDATING", "0", "runtime_lora", False),
        ("VLLM_SKIP_MODEL_NAME_VALIDATION", "1", "any_model_name", True),
        ("VLLM_SKIP_MODEL_NAME_VALIDATION", "", "any_model_name", False),
        ("VLLM_ENABLE_RESPONSES_API_STORE", "1", "response_store", True),
        ("VLLM_ENABLE_RESPONSES_API_STORE", "0", "response_store", False),
        ("VLLM_TORCH_PROFILER_DIR", "/p", "profiler", True),
        ("VLLM_BATCH_INVARIANT", "1", "deterministic", True),
        ("VLLM_SHIM_ENGINE_ARGS", "--enable-deterministic-inference", "deterministic", True),
    ],
)
def test_the_middleware_is_told(name: str, value: str, field: str, expected: object, make_plan: MakePlan) -> None:
    assert getattr(make_plan("serve", "m", env={name: value}).policy, field) == expected


def test_routes_that_are_open_to_everybody_are_said_aloud(make_plan: MakePlan) -> None:
    assert any("VLLM_SERVER_DEV_MODE" in one for one in make_plan("serve", "m", env=DEV).warnings)


@pytest.mark.parametrize(("words", "note"), [(["--enable-lora"], ""), ([], "without --enable-lora")])
def test_adapters_at_run_time_need_the_flag_as_in_vllm(words: list[str], note: str, make_plan: MakePlan) -> None:
    made = make_plan("serve", "m", *words, env={"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1"})
    assert line(made, "VLLM_ALLOW_RUNTIME_LORA_UPDATING").note.startswith(note)
    assert made.warnings == ()
    assert ("--enable-lora" in made.engines[0].argv) == bool(words)


def test_connections_are_kept_as_long_as_the_operator_says(make_plan: MakePlan) -> None:
    files = render_config.render(make_plan("serve", "m", env={"VLLM_HTTP_TIMEOUT_KEEP_ALIVE": "120"}))
    assert "timeout http-keep-alive 120s" in files["haproxy.cfg"]
    assert "timeout http-keep-alive 75s" in render_config.render(make_plan("serve", "m"))["haproxy.cfg"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VLLM_DP_SIZE", "2"),
        ("VLLM_DP_RANK", "1"),
        ("VLLM_PLUGINS", "lora_filesystem_resolver"),
        ("VLLM_LORA_RESOLVER_CACHE_DIR", "/adapters"),
        ("VLLM_MOE_ROUTING_SIMULATION_STRATEGY", "uniform_random"),
        ("VLLM_ENABLE_COHERE_API", "1"),
        ("VLLM_SYSTEM_START_DATE", "2023-09-12"),
        ("VLLM_GPT_OSS_SYSTEM_TOOL_MCP_LABELS", "container"),
        ("VLLM_MODEL_REDIRECT_PATH", "/redirect.json"),
        ("VLLM_MEDIA_CONNECTOR", "mine"),
        ("VLLM_MAX_AUDIO_CLIP_FILESIZE_MB", "5"),
    ],
)
def test_what_would_change_answers_or_weaken_a_guard_is_refused(name: str, value: str, make_plan: MakePlan) -> None:
    assert refusal(make_plan, **{name: value}).startswith(f"{name}: ")
    waived = make_plan("serve", "m", env={name: value, "VLLM_SHIM_UNSUPPORTED": "warn"})
    assert any(warning.startswith(f"{name} is NOT honoured") for warning in waived.warnings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VLLM_DP_SIZE", "1"),
        ("VLLM_DP_RANK", "0"),
        ("VLLM_PLUGINS", ""),
        ("VLLM_ENABLE_COHERE_API", "0"),
        ("VLLM_MEDIA_URL_ALLOW_REDIRECTS", "1"),
        ("VLLM_MEDIA_CONNECTOR", "http"),
        ("VLLM_MAX_AUDIO_CLIP_FILESIZE_MB", "100"),
        ("VLLM_USE_V1", "0"),
    ],
)
def test_what_asks_for_nothing_starts(name: str, value: str, make_plan: MakePlan) -> None:
    assert line(make_plan("serve", "m", env={name: value}), name).action in ("same", "drop")


def test_redirects_that_are_forbidden_are_never_waived(make_plan: MakePlan) -> None:
    assert "--allowed-media-domains" in refusal(
        make_plan, VLLM_MEDIA_URL_ALLOW_REDIRECTS="0", VLLM_SHIM_UNSUPPORTED="warn"
    )


def test_a_value_that_vllm_cannot_read_is_refused(make_plan: MakePlan) -> None:
    assert "vLLM cannot read this value" in refusal(make_plan, VLLM_BATCH_INVARIANT="true")


def test_a_name_that_no_vllm_has_is_said_with_the_nearest(make_plan: MakePlan) -> None:
    made = make_plan("serve", "m", env={"VLLM_ATENTION_BACKEND": "FLASHINFER", "VLLM_TEMPLATE_DIR": "/t"})
    assert line(made, "VLLM_ATENTION_BACKEND").note == "vLLM has no such variable; did you mean VLLM_ATTENTION_BACKEND?"
    assert any(warning == "VLLM_TEMPLATE_DIR: vLLM has no such variable" for warning in made.warnings)
    assert line(made, "VLLM_TEMPLATE_DIR").value is None


@pytest.mark.parametrize("value", ["tcp://10.0.0.1:80", "abc", "0", "99999", "8000", "٣"])
def test_vllms_port_is_never_fatal(value: str, make_plan: MakePlan) -> None:
    made = make_plan("serve", "m", env={"VLLM_PORT": value})
    assert "SGLANG_PORT" not in made.engines[0].env


def test_nodes_are_told_where_the_others_are(make_plan: MakePlan) -> None:
    env = {"VLLM_HOST_IP": "10.0.0.7", "VLLM_PORT": "25000"}
    assert "SGLANG_HOST_IP" not in make_plan("serve", "m", env=env).engines[0].env
    engine = make_plan("serve", "m", "-tp", "2", "--nnodes", "2", "--node-rank", "0", env=env).engines[0].env
    assert (engine["SGLANG_HOST_IP"], engine["SGLANG_PORT"]) == ("10.0.0.7", "25000")
    near = {**env, "VLLM_PORT": "7990"}  # SGLang would search upwards from there, to the server's own port
    assert (
        "SGLANG_PORT"
        not in make_plan("serve", "m", "-tp", "2", "--nnodes", "2", "--node-rank", "0", env=near).engines[0].env
    )


def test_the_longest_wait_for_media_is_the_one_for_all(make_plan: MakePlan) -> None:
    env = {"VLLM_IMAGE_FETCH_TIMEOUT": "10", "VLLM_VIDEO_FETCH_TIMEOUT": "60"}
    assert make_plan("serve", "m", env=env).engines[0].env["REQUEST_TIMEOUT"] == "60"


def test_a_flag_wins_over_its_variable(make_plan: MakePlan) -> None:
    made = make_plan("serve", "m", "--attention-backend", "TRITON_ATTN", env={"VLLM_ATTENTION_BACKEND": "FLASHINFER"})
    assert "triton" in made.engines[0].argv
    assert line(made, "VLLM_ATTENTION_BACKEND").note == "--attention-backend wins"


def test_logging_that_needs_vllms_classes_is_not_given_to_sglang(make_plan: MakePlan) -> None:
    config = {"formatters": {"json": {"class": "vllm.logging_utils.NewLineFormatter"}}}
    made = make_plan("serve", "m", env={"VLLM_LOGGING_CONFIG_PATH": "/l.json"}, logging_config=config)
    assert "SGLANG_LOGGING_CONFIG_PATH" not in made.engines[0].env
    assert any("VLLM_LOGGING_CONFIG_PATH is NOT honoured" in warning for warning in made.warnings)


@pytest.mark.parametrize("name", ["CUDA_VISIBLE_DEVICES", "NCCL_DEBUG", "OMP_NUM_THREADS", "NO_COLOR", "PATH"])
def test_what_every_program_reads_gets_no_line(name: str, make_plan: MakePlan) -> None:
    assert not [d for d in make_plan("serve", "m", env={name: "0"}).decisions if d.name == name]


def test_tracing_that_is_off_is_said(make_plan: MakePlan) -> None:
    env = {"OTEL_SERVICE_NAME": "s", "OTEL_EXPORTER_OTLP_HEADERS": "authorization=s3cret"}
    made = make_plan("serve", "m", env=env)
    assert "tracing is off" in line(made, "OTEL_SERVICE_NAME").note
    assert "s3cret" not in json.dumps(made.to_json())


def test_secrets_of_the_hub_reach_sglang_alone(make_plan: MakePlan) -> None:
    env = {"HF_TOKEN": "s3cret", "AWS_SECRET_ACCESS_KEY": "s3cret", "HF_HOME": "/data", "VLLM_API_KEY": "s3cret"}
    files = render_config.render(make_plan("serve", "m", env=env))
    commands = dict(
        zip(("engine", "middleware", "haproxy"), _lines(files["supervisord.conf"], "command="), strict=True)
    )
    for program in ("middleware", "haproxy"):
        assert "-u HF_TOKEN" in commands[program]
        assert "-u AWS_SECRET_ACCESS_KEY" in commands[program]
        assert "HF_HOME" not in commands[program]
    assert "HF_TOKEN" not in commands["engine"]
    assert "-u VLLM_API_KEY" in commands["engine"]
    assert "s3cret" not in "".join(files.values())


@pytest.mark.parametrize("name", ["API_TOKENS", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"])
def test_what_may_hold_a_key_stays_with_the_engine(name: str, make_plan: MakePlan) -> None:
    files = render_config.render(make_plan("serve", "m", env={name: "s3cret"}))
    engine, middleware, haproxy = _lines(files["supervisord.conf"], "command=")
    assert f"-u {name} " in middleware
    assert f"-u {name} " in haproxy
    assert name not in engine


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SGLANG_GRPC_PORT", "50051"),
        ("SGLANG_HTTP_SERVER_APP_PATH", "a:app"),
        ("SGLANG_RUST_SERVER", "1"),
        ("SGLANG_RUST_SERVER", "true"),
    ],
)
def test_what_would_take_sglangs_server_away_is_refused_and_never_waived(
    name: str, value: str, make_plan: MakePlan
) -> None:
    assert refusal(make_plan, **{name: value, "VLLM_SHIM_UNSUPPORTED": "warn"}).startswith(f"{name}: ")
    assert not [d for d in make_plan("serve", "m", env={name: ""}).decisions if d.action == "refuse"]


def test_plugins_of_sglangs_are_said_aloud(make_plan: MakePlan) -> None:
    made = make_plan("serve", "m", env={"SGLANG_PLUGINS": "mine"})
    assert line(made, "SGLANG_PLUGINS").action == "pass"
    assert any(warning.startswith("SGLANG_PLUGINS=mine: ") for warning in made.warnings)


def test_a_parser_that_sglang_does_not_know_is_refused(make_plan: MakePlan) -> None:
    assert "knows no --tool-call-parser nosuch" in refusal(make_plan, SGLANG_TOOL_CALL_PARSER="nosuch")
    env = {"SGLANG_TOOL_CALL_PARSER": "nosuch", "VLLM_SHIM_UNSUPPORTED": "warn"}
    waived = make_plan("serve", "m", env=env)
    assert line(waived, "SGLANG_TOOL_CALL_PARSER").action == "drop"
    assert "--tool-call-parser" not in waived.engines[0].argv
    assert line(make_plan("serve", "m", env={"SGLANG_TOOL_CALL_PARSER": "qwen"}), "SGLANG_TOOL_CALL_PARSER").action == (
        "convert"
    )


def test_a_service_named_sglang_is_no_setting_of_sglangs(make_plan: MakePlan) -> None:
    env = {
        "SGLANG_PORT": "tcp://10.0.0.1:80",
        "SGLANG_SERVICE_HOST": "10.0.0.1",
        "SGLANG_PORT_53_UDP": "udp://10.0.0.1:53",
        "SGLANG_GRPC_PORT": "tcp://10.0.0.2:80",
        "VLLM_PORT": "tcp://10.0.0.3:80",
        "SGLANG_LOG_MS": "1",
    }
    made = make_plan("serve", "m", env=env)
    lines = {d.name: d.note for d in made.decisions if d.kind == "env" and d.action == "drop"}
    assert lines == {
        "SGLANG_GRPC_PORT, ...": "4 variables that Kubernetes sets for Services named sglang...",
        "VLLM_PORT, ...": "1 variables that Kubernetes sets for Services named vllm...",
    }
    assert {name for name in env if name.startswith("SGLANG_")} - set(made.engines[0].unset) == {"SGLANG_LOG_MS"}


def test_the_port_of_a_service_is_not_the_operators_own(make_plan: MakePlan) -> None:
    env = {"SGLANG_PORT": "tcp://10.0.0.1:80", "VLLM_PORT": "25000"}
    engine = make_plan("serve", "m", "-tp", "2", "--nnodes", "2", "--node-rank", "0", env=env).engines[0]
    assert engine.env["SGLANG_PORT"] == "25000"
    assert "SGLANG_PORT" not in engine.unset


@pytest.mark.parametrize("name", EMPTIED)
def test_what_the_image_empties_is_not_set_for_the_engine_and_needs_no_line(name: str, make_plan: MakePlan) -> None:
    made = make_plan("serve", "m", env={name: ""})
    assert name in made.engines[0].unset
    assert name not in {decision.name for decision in made.decisions}
    asked = make_plan("serve", "m", env={name: "1"})
    assert name not in asked.engines[0].unset


@pytest.mark.parametrize(
    ("name", "value", "target"),
    [
        ("VLLM_ROCM_QUICK_REDUCE_QUANTIZATION", "INT4", EMPTIED[0]),
        ("VLLM_ALLOW_LONG_MAX_MODEL_LEN", "1", EMPTIED[1]),
    ],
)
def test_vllms_own_variable_fills_what_the_image_empties(
    name: str, value: str, target: str, make_plan: MakePlan
) -> None:
    engine = make_plan("serve", "m", env={name: value, target: ""}).engines[0]
    assert engine.env[target] == value
    assert target not in engine.unset
    assert target not in make_plan("serve", "m", env={name: value, target: "0"}).engines[0].env


def test_json_in_a_variable_arrives_whole(make_plan: MakePlan) -> None:
    value = '{"dtype": "int8", "x": [1, "100%"]}'
    made = make_plan("serve", "m", env={"VLLM_HUMMING_INPUT_QUANT_CONFIG": value})
    (rendered,) = _lines(render_config.render(made)["supervisord.conf"], "environment=")
    parsed = pytest.importorskip("supervisor.datatypes").dict_of_key_value_pairs(rendered.replace("%%", "%"))
    assert parsed["SGLANG_HUMMING_INPUT_QUANT_CONFIG"] == value


def _lines(text: str, prefix: str) -> list[str]:
    return [line.removeprefix(prefix) for line in text.splitlines() if line.startswith(prefix)]
