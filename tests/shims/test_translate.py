"""What vLLM's flags become."""

from __future__ import annotations

import json
from typing import Any

import pytest

from middleware.secrecy import REDACTED
from shims import cli, report
from shims.catalog import load
from shims.exceptions import CommandLineError, Refused, StartError
from shims.flags import TABLE
from tests.shims.conftest import MakePlan
from tests.stack_commands import COMMANDS, StackCommand


def flags(argv: tuple[str, ...]) -> dict[str, list[str]]:
    """SGLang's argv as flag -> values."""
    found: dict[str, list[str]] = {}
    for word in argv:
        if word.startswith("--"):
            found[word] = []
        elif found:
            found[next(reversed(found))].append(word)
    return found


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param(["-tp", "8"], {"--tp-size": ["8"]}, id="tp"),
        pytest.param(["--max-model-len", "32K"], {"--context-length": ["32768"]}, id="human size becomes digits"),
        pytest.param(["--max-num-seqs", "32"], {"--max-running-requests": ["32"]}, id="max-num-seqs"),
        pytest.param(
            ["--max_num_batched_tokens", "8k"],
            {"--chunked-prefill-size": ["8000"], "--max-prefill-tokens": ["8000"]},
            id="batched tokens",
        ),
        pytest.param(
            ["--max-num-batched-tokens", "8k", "--no-enable-chunked-prefill"],
            {"--chunked-prefill-size": ["-1"], "--max-prefill-tokens": ["8000"]},
            id="batched tokens without chunked prefill",
        ),
        pytest.param(["--gpu-memory-utilization", "0.95"], {"--mem-fraction-static": None}, id="the whole GPU"),
        pytest.param(["--gpu-memory-utilization", "0.8"], {"--mem-fraction-static": ["0.7"]}, id="a part of it"),
        pytest.param(["--gpu_memory_utilization", "0.2"], {"--mem-fraction-static": ["0.15"]}, id="a small part"),
        pytest.param(["--seed", "7"], {"--random-seed": ["7"]}, id="seed"),
        pytest.param([], {"--random-seed": ["0"], "--enable-metrics": [], "--tp-size": None}, id="defaults"),
        pytest.param(["--no-enable-prefix-caching"], {"--disable-radix-cache": []}, id="no prefix caching"),
        pytest.param(["--enable-prefix-caching"], {"--disable-radix-cache": None}, id="prefix caching"),
        pytest.param(
            ["--enforce-eager"],
            {"--cuda-graph-backend-decode": ["disabled"], "--cuda-graph-backend-prefill": ["disabled"]},
            id="eager",
        ),
        pytest.param(["--no-trust-remote-code"], {"--trust-remote-code": None}, id="a negation is omitted"),
        pytest.param(
            ["--enable-lora", "--max_loras", "4"],
            {
                "--enable-lora": [],
                "--max-loras-per-batch": ["5"],
                "--max-lora-rank": ["16"],
                "--lora-target-modules": ["all"],
            },
            id="lora",
        ),
        pytest.param(["--max_loras", "4"], {"--max-loras-per-batch": None}, id="max-loras without lora"),
        pytest.param(["--kv-cache-dtype", "fp8"], {"--kv-cache-dtype": ["fp8_e4m3"]}, id="fp8"),
        pytest.param(["--tool-call-parser", "llama3_json"], {"--tool-call-parser": ["llama3"]}, id="tool parser"),
        pytest.param(["--reasoning-parser", "deepseek_r1"], {"--reasoning-parser": ["deepseek-r1"]}, id="reasoning"),
        pytest.param(
            ["--limit-mm-per-prompt", '{"image": 5, "video": {"count": 1}}'],
            {"--limit-mm-data-per-request": ['{"image":5,"video":1}']},
            id="images",
        ),
        pytest.param(
            ["--hf-overrides", '{"a":\n 1}', "--json-model-override-args", '{\n"b": 2}'],
            {"--json-model-override-args": ['{"b":2}']},
            id="JSON of several lines becomes one",
        ),
        pytest.param(["--page-size", "16"], {"--page-size": ["16"]}, id="SGLang's own flag"),
        pytest.param(["-tp", "8", "--tp-size", "4"], {"--tp-size": ["4"]}, id="SGLang's own flag wins"),
        pytest.param(["--served-model-name", "a", "b"], {"--served-model-name": ["a"]}, id="one name for SGLang"),
        pytest.param(
            ["--host", "0.0.0.0", "--port", "9100"], {"--host": ["127.0.0.1"], "--port": ["9101"]}, id="loopback"
        ),
    ],
)
def test_a_flag_becomes(words: list[str], expected: dict[str, list[str] | None], make_plan: MakePlan) -> None:
    got = flags(make_plan("serve", "m/x", *words).engines[0].argv)
    assert {name: got.get(name) for name in expected} == expected


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--tool-call-parser", "granite"], "no tool-call parser for 'granite'; those with a counterpart: apertus"),
        (["--quantization", "torchao"], "no quantization method for 'torchao'"),
        (["--gpu-memory-utilization", "1.5"], "above 0 and up to 1"),
        (["--port", "70000"], "from 1 to 65535"),
        (["--tensor-paralel-size", "8"], "did you mean --tensor-parallel-size?"),
        (["--distributed-executor-backend", "ray"], "Ray"),
        (["--kv-transfer-config", '{"kv_connector":"NixlConnector","kv_role":"kv_both"}'], "NixlConnector"),
        (["--admin-api-key", "x"], "admin routes are closed"),
        (["--host", "a b"], "not a host name"),
        (["--enable-prompt-embeds"], "no embeddings as a prompt"),
        (["--worker-extension-cls", "a.B"], "a class for vLLM's workers"),
        (["--logits-processors", "a.B"], "classes of vLLM's"),
        (["--json-model-override-args", "a\nb"], "holds a line break"),
        (["--served-model-name", "x\n[program:evil]"], "holds a line break"),
        (["--served-model-name", "x\udcff"], "not UTF-8"),
        (["--chat-template", "{{ \udcff }}"], "not UTF-8"),
        (["--served-model-name=-x"], "begins with a dash"),
        (["--tensor-parallel-size", "0"], "give 1 or more"),
        (["--ssl-keyfile-password", "pw"], "without TLS"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(words: list[str], message: str, make_plan: MakePlan) -> None:
    with pytest.raises(Refused, match=message) as caught:
        make_plan("serve", "m/x", *words)
    assert words[0].split("=")[0] in str(caught.value)


def test_all_refusals_are_named_at_once(make_plan: MakePlan) -> None:
    with pytest.raises(Refused) as caught:
        make_plan("serve", "m/x", "--foo", "--tool-call-parser", "granite", "--bar=1")
    assert {name for name, _ in caught.value.refusals} == {"--foo", "--tool-call-parser", "--bar"}


@pytest.mark.parametrize("command", [pytest.param(c, id=c.source[:90]) for c in COMMANDS])
def test_every_command_line_of_the_production_stack_has_the_outcome_it_should_have(
    command: StackCommand, make_plan: MakePlan
) -> None:
    if command.refused:
        with pytest.raises(Refused) as caught:
            make_plan(*command.words, env=command.env)
        assert [name for name, _ in caught.value.refusals] == [command.refused]
        return
    made = make_plan(*command.words, env=command.env)
    given = {"--" + word[2:].split("=")[0].replace("_", "-") for word in command.words if word.startswith("--")}
    decided = {decision.name for decision in made.decisions if decision.kind == "flag"}
    assert given <= decided
    assert not {name for name in command.env if name.startswith(("VLLM_", "LMCACHE_"))} - {
        decision.name for decision in made.decisions if decision.kind == "env"
    }


def test_lmcache_offloading_becomes_hicache_which_needs_the_radix_cache(make_plan: MakePlan) -> None:
    config = '{"kv_connector":"LMCacheConnectorV1","kv_role":"kv_both"}'
    made = make_plan(
        *("serve", "m/x", "-tp", "2", "--no-enable-prefix-caching", "--kv-transfer-config", config),
        env={"LMCACHE_LOCAL_CPU": "True", "LMCACHE_MAX_LOCAL_CPU_SIZE": "30"},
    )
    got = flags(made.engines[0].argv)
    assert got["--hicache-size"] == ["15"]
    assert "--disable-radix-cache" not in got
    (line,) = (d for d in made.decisions if d.name == "--no-enable-prefix-caching")
    assert line.action == "drop"


@pytest.mark.parametrize("size", ["inf", "many"])
def test_a_size_that_is_none_is_refused(size: str, make_plan: MakePlan) -> None:
    config = '{"kv_connector":"LMCacheConnectorV1","kv_role":"kv_both"}'
    with pytest.raises(Refused, match="give a number of GiB"):
        make_plan("serve", "m", "--kv-transfer-config", config, env={"LMCACHE_MAX_LOCAL_CPU_SIZE": size})


@pytest.mark.parametrize("model", ["", "a\nb", "bad\udcff"])
def test_a_model_that_is_empty_or_cannot_be_written_is_refused(model: str, make_plan: MakePlan) -> None:
    with pytest.raises(Refused, match=r"^model: "):
        make_plan("serve", model, "--model", "other")


@pytest.mark.parametrize("words", [["--model=-foo"], ["--model="], ["--", "-foo"], ["--model", " "]])
@pytest.mark.parametrize("env", [{}, {"VLLM_SHIM_UNSUPPORTED": "warn"}])
def test_a_model_that_is_no_name_is_refused(words: list[str], env: dict[str, str], make_plan: MakePlan) -> None:
    with pytest.raises(Refused, match=r"model: .*(is empty|begins with a dash)"):
        make_plan("serve", *words, env=env)


def test_a_value_that_begins_with_a_dash_stays_a_value(make_plan: MakePlan) -> None:
    argv = make_plan("serve", "m", "--revision=-x", "--no-enable-chunked-prefill").engines[0].argv
    assert "--revision=-x" in argv
    assert argv[argv.index("--chunked-prefill-size") + 1] == "-1"


@pytest.mark.parametrize("path", ["/nope", "/update_weights_from_tensor"])
def test_a_route_that_cannot_be_opened_is_known_before_the_engine_loads(path: str, make_plan: MakePlan) -> None:
    with pytest.raises(CommandLineError, match=path):
        make_plan("serve", "m", env={"VLLM_SHIM_EXPOSE_ROUTES": path})


def test_no_model_at_all_serves_the_default_of_vllm_and_says_so(make_plan: MakePlan) -> None:
    made = make_plan("serve")
    assert made.engines[0].model == "Qwen/Qwen3-0.6B"
    assert any("Qwen/Qwen3-0.6B" in warning for warning in made.warnings)


def test_the_api_server_entry_ignores_a_positional_model_as_vllm_does(make_plan: MakePlan) -> None:
    assert make_plan("api-server", "ignored", "--model", "m/x").engines[0].model == "m/x"
    assert make_plan("serve", "m/x", "--model", "ignored").engines[0].model == "m/x"


@pytest.mark.parametrize(
    ("model", "config", "env", "parser"),
    [
        ("mistralai/Mistral-7B-Instruct-v0.3", {}, {}, ["mistral"]),
        ("/data/m", {"architectures": ["MistralForCausalLM"]}, {}, ["mistral"]),
        ("org/mistral-looking", {"model_type": "llama"}, {}, None),
        ("Qwen/Qwen3-8B", {}, {}, None),
        ("Qwen/Qwen3-8B", {}, {"SGLANG_TOOL_CALL_PARSER": "qwen25"}, ["qwen25"]),
        ("mistralai/Mistral-7B", {}, {"SGLANG_TOOL_CALL_PARSER": "llama3"}, ["llama3"]),
    ],
)
def test_without_a_parser_flag_the_variable_or_the_model_family_decides(
    model: str, config: dict[str, Any], env: dict[str, str], parser: list[str] | None, make_plan: MakePlan
) -> None:
    got = flags(make_plan("serve", model, env=env, model_config=config).engines[0].argv)
    assert got.get("--tool-call-parser") == parser


def test_engine_args_come_last_and_win(make_plan: MakePlan) -> None:
    env = {"VLLM_SHIM_ENGINE_ARGS": "--page-size=64 --lora-target-modules q_proj k_proj --disable-radix-cache"}
    got = flags(make_plan("serve", "m", "--page-size", "16", env=env).engines[0].argv)
    assert got["--page-size"] == ["64"]
    assert got["--lora-target-modules"] == ["q_proj", "k_proj"]
    assert got["--disable-radix-cache"] == []


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ("--port 1", Refused, "--port: haproxy binds"),
        ("--max-loras 1", Refused, "no such flag"),
        ("--model other", Refused, "give the model to vllm serve"),
        ("--ssl-keyfile-password pw", Refused, "without TLS"),
        ("--config x.yaml", Refused, "write its flags out"),
        ("x", CommandLineError, "must begin with a flag"),
        ("--a 'b", CommandLineError, "cannot be split"),
    ],
)
def test_engine_args_cannot_take_the_house_apart(
    value: str, error: type[Exception], message: str, make_plan: MakePlan
) -> None:
    with pytest.raises(error, match=message):
        make_plan("serve", "m", env={"VLLM_SHIM_ENGINE_ARGS": value})


@pytest.mark.parametrize(
    ("words", "env"),
    [
        (["--api-key", "s3cret", "other-s3cret"], {}),
        (["--api_key=s3cret"], {}),
        (["--hf-token", "s3cret"], {}),
        ([], {"VLLM_API_KEY": "s3cret"}),
        ([], {"HF_TOKEN": "s3cret", "HUGGING_FACE_HUB_TOKEN": "s3cret"}),
        ([], {"VLLM_API_KEY": "x", "SGLANG_S3_PASS": "s3cret", "LMCACHE_REMOTE_URL": "redis://:s3cret@h"}),
        ([], {"VLLM_API_KEY": "x", "VLLM_X": "s3cret"}),
    ],
)
def test_a_secret_stands_in_no_argv_and_in_no_preview(
    words: list[str], env: dict[str, str], make_plan: MakePlan
) -> None:
    made = make_plan("serve", "m", *words, env=env)
    shown = json.dumps(made.to_json())
    assert "s3cret" not in shown
    assert REDACTED in shown
    assert "s3cret" not in repr(made)


@pytest.mark.parametrize(
    ("words", "env", "keys"),
    [
        (["--api-key", "a", "b"], {"VLLM_API_KEY": "c"}, ("a", "b")),
        ([], {"VLLM_API_KEY": "c"}, ("c",)),
        (["--api-key", ""], {}, ()),
        (["--api-key", ""], {"VLLM_API_KEY": "c"}, ("c",)),
        ([], {"VLLM_API_KEY": ""}, ()),
    ],
)
def test_keys_come_from_the_flag_else_from_the_variable(
    words: list[str], env: dict[str, str], keys: tuple[str, ...], make_plan: MakePlan
) -> None:
    assert make_plan("serve", "m", *words, env=env).api_keys == keys


@pytest.mark.parametrize(
    ("words", "env"),
    [
        ([], {"VLLM_API_KEY": "  "}),
        ([], {"VLLM_API_KEY": "\t\n"}),
        (["--api-key", " "], {}),
        (["--api-key", "a", " "], {}),
    ],
)
def test_a_key_of_white_space_is_no_key_and_no_open_server(
    words: list[str], env: dict[str, str], make_plan: MakePlan
) -> None:
    env = {**env, "VLLM_SHIM_UNSUPPORTED": "warn", "VLLM_SHIM_IGNORE_FLAGS": "--api-key"}
    with pytest.raises(Refused, match="a key of white space"):
        make_plan("serve", "m", *words, env=env)


def test_service_links_of_kubernetes_are_ignored_with_one_line(make_plan: MakePlan) -> None:
    env = {"VLLM_PORT": "tcp://10.0.0.1:80", "VLLM_SERVICE_HOST": "10.0.0.1", "VLLM_PORT_80_TCP_ADDR": "10.0.0.1"}
    lines = [d for d in make_plan("serve", "m", env=env).decisions if d.kind == "env"]
    assert [(d.action, d.note) for d in lines] == [
        ("drop", "3 variables that Kubernetes sets for Services named vllm...")
    ]


def test_the_shadow_package_is_kept_from_sglang(make_plan: MakePlan) -> None:
    env = {"PYTHONPATH": "/opt/x/shims/shadow:/opt/aiter"}
    assert make_plan("serve", "m", env=env, home="/opt/x").engines[0].env["PYTHONPATH"] == "/opt/aiter"
    env = {"PYTHONPATH": "/opt/x/shims/shadow"}
    assert "PYTHONPATH" in make_plan("serve", "m", env=env, home="/opt/x").engines[0].unset


@pytest.mark.parametrize(
    ("port", "taken", "env", "inner"),
    [
        (8000, [], {}, (8001, 8002)),
        (8000, [8001], {}, (8002, 8003)),
        (8998, [], {}, (8999, 9001)),
        (30089, [], {}, (30091, 30092)),
        (65535, [], {}, (1024, 1025)),
        (8000, [], {"VLLM_SHIM_SGLANG_PORT": "31000", "VLLM_SHIM_MIDDLEWARE_PORT": "31001"}, (31000, 31001)),
    ],
)
def test_inner_ports_follow_the_public_one_and_move_aside(
    port: int, taken: list[int], env: dict[str, str], inner: tuple[int, int], make_plan: MakePlan
) -> None:
    made = make_plan("serve", "m", "--port", str(port), env=env, taken_ports=frozenset(taken))
    assert (made.ports.engine, made.ports.middleware) == inner
    moved = not env and inner != (port + 1, port + 2)
    assert bool(made.warnings) == moved


def test_a_taken_public_port_ends_the_start(make_plan: MakePlan) -> None:
    with pytest.raises(StartError, match="port 8000 is taken"):
        make_plan("serve", "m", taken_ports=frozenset({8000}))
    with pytest.raises(StartError, match="VLLM_SHIM_SGLANG_PORT: port 8005 is taken"):
        make_plan("serve", "m", env={"VLLM_SHIM_SGLANG_PORT": "8005"}, taken_ports=frozenset({8005}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VLLM_SHIM_ENGINE_RESTART", "maybe"),
        ("VLLM_SHIM_DRAIN_SECONDS", "soon"),
        ("VLLM_SHIM_SGLANG_PORT", "x"),
        ("VLLM_SHIM_ENGINE", "'"),
        ("VLLM_SHIM_DRAIN_SECONDS", "99999999"),
        ("VLLM_SHIM_STALL_SECONDS", "10m"),
        ("VLLM_SHIM_STALL_SECONDS", "-1"),
        ("VLLM_SHIM_STALL_SECONDS", "9"),
        ("VLLM_SHIM_ACCESS_LOG", "true"),
        ("VLLM_SHIM_DUMP_ERRORS", "yes"),
        ("VLLM_SHIM_STALL_SECONDS", "99999999"),
    ],
)
def test_a_bad_setting_is_named_with_what_it_holds(name: str, value: str, make_plan: MakePlan) -> None:
    with pytest.raises(CommandLineError, match=f"{name} is '{value}'"):
        make_plan("serve", "m", env={name: value})


@pytest.mark.parametrize(
    ("value", "seconds", "warned"), [(None, 0, False), ("", 0, False), ("0", 0, False), ("599", 599, True)]
)
def test_a_stalled_engine_is_only_reported_unless_asked(
    value: str | None, seconds: int, warned: bool, make_plan: MakePlan
) -> None:
    made = make_plan("serve", "m", env={} if value is None else {"VLLM_SHIM_STALL_SECONDS": value})
    assert (made.settings.stall_seconds, made.policy.stall_seconds) == (seconds, seconds)
    assert any("compilation of a kernel" in warning for warning in made.warnings) == warned
    assert (f"for {seconds} s while requests wait: it is ended" in report.text(made)) == bool(seconds)


def test_ten_minutes_leave_room_for_the_first_compilation(make_plan: MakePlan) -> None:
    made = make_plan("serve", "m", env={"VLLM_SHIM_STALL_SECONDS": "600"})
    assert (made.policy.stall_seconds, made.warnings) == (600, ())


@pytest.mark.parametrize(("in_kubernetes", "policy"), [(True, "exit"), (False, "in-place")])
def test_a_dead_engine_ends_the_container_in_kubernetes_only(
    in_kubernetes: bool, policy: str, make_plan: MakePlan
) -> None:
    chosen = make_plan("serve", "m", in_kubernetes=in_kubernetes).settings
    assert chosen.restart == policy
    assert chosen.stop_seconds < 30


@pytest.mark.parametrize(
    ("in_kubernetes", "seconds", "warned"), [(True, 15, False), (True, 20, True), (False, 20, False)]
)
def test_an_end_that_takes_longer_than_kubernetes_allows_is_said_at_the_start(
    in_kubernetes: bool, seconds: int, warned: bool, make_plan: MakePlan
) -> None:
    made = make_plan("serve", "m", env={"VLLM_SHIM_DRAIN_SECONDS": str(seconds)}, in_kubernetes=in_kubernetes)
    assert any("terminationGracePeriodSeconds" in warning for warning in made.warnings) == warned
    assert f"all ends within {5 + seconds + 9} s" in report.text(made)


def test_every_record_of_the_table_is_a_flag_of_vllm_and_every_target_a_flag_of_sglang() -> None:
    vllm, sglang = load("vllm"), load("sglang")
    for name, flag in TABLE.items():
        assert vllm.by_spelling[name].name == name
        # Of the others `to` is a hint for the documents.
        assert flag.action not in ("same", "rename") or not flag.to or flag.to in sglang.by_spelling


def test_every_sglang_flag_that_any_command_line_yields_exists(make_plan: MakePlan) -> None:
    sglang = load("sglang")
    for command in COMMANDS:
        if not command.refused:
            argv = make_plan(*command.words, env=command.env).engines[0].argv
            assert set(flags(argv)) <= set(sglang.by_spelling)


def test_the_last_of_repeated_flags_is_the_one_decided(make_plan: MakePlan) -> None:
    made = make_plan("serve", "m", "--max-model-len", "8192", "--max_model_len=16384")
    assert [d.value for d in made.decisions if "max" in d.name] == ["16384"]
    assert cli.parse(["--max-model-len", "8192", "--max-model-len=16384"]).last("--max-model-len") == 16384
