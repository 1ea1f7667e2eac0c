"""What other multiplexers' users bring: sglangmux 0.1.1's scripts and options, llama-swap's YAML."""

from __future__ import annotations

from pathlib import Path

import pytest

from shims import start
from shims.exceptions import ShimError
from shims.facts import Facts
from shims.plan import Plan
from switcher.fits import fit
from tests.shims.models.conftest import Several, member

SCRIPT = """#!/bin/bash
set -e
export MODEL_NAME="Qwen/Qwen3-0.6B"
PORT=${PORT:-30001}
BIND=$PORT
exec python3 -m sglang.launch_server --model-path "$MODEL_NAME" --host 127.0.0.1 --port $BIND \\
    --tool-call-parser qwen25 --enable-memory-saver
"""
SWAP = """\
healthCheckTimeout: 500
startPort: 10001
logLevel: info
macros:
  vllm: vllm serve --max-model-len 4096
models:
  qwen:
    cmd: |
      # the big one
      ${vllm} Qwen/Qwen3-8B --port ${PORT}
    aliases: [gpt-4o]
    ttl: 300
    env: ["NCCL_DEBUG=INFO"]
    filters: {stripParams: top_k}
  docker:
    cmd: docker run --rm --gpus all -e NCCL_DEBUG=WARN vllm/vllm-openai:v0.11 --model org/d --port ${PORT}
    concurrencyLimit: 4
  llama:
    cmd: llama-server --port ${PORT} -m ${MODEL_ID}.gguf
    proxy: http://127.0.0.1:${PORT}
    checkEndpoint: /ready
groups:
  both: {swap: false, persistent: true, members: [qwen, llama]}
hooks: {on_startup: {preload: [llama]}}
"""


def from_scripts(tmp_path: Path, *words: str, **scripts: str) -> Plan:
    paths = []
    for name, text in scripts.items():
        (tmp_path / f"{name}.sh").write_text(text)
        paths.append(str(tmp_path / f"{name}.sh"))
    return start.plan(["serve", "--shim-models", *paths, *words], {}, Facts(run_dir="/run/x"))


def test_a_launch_script_runs_as_it_is_under_its_own_name_and_port(tmp_path: Path) -> None:
    plan = from_scripts(tmp_path, one=SCRIPT)
    [engine] = plan.engines
    assert engine.argv == ("bash", str(tmp_path / "one.sh"))
    assert (engine.name, engine.port, engine.stop_as_group) == ("sglang-qwen3-0.6b", 30001, True)
    found = member(plan, "Qwen/Qwen3-0.6B")
    assert (found.kind, found.port) == ("sglang", 30001)
    assert plan.parts[0].policy.tool_parser
    assert plan.parts[0].policy.sleep_mode


@pytest.mark.parametrize(
    ("text", "name", "port"),
    [
        ("sglang serve --model-path=a/b --port=7001", "a/b", 7001),
        ("M=a/b\npython -m sglang.launch_server --model $M --port 7001", "a/b", 7001),
        ("MODEL_NAME='a b'\n# --model other\nrun --port 7001", "a b", 7001),
        ("export PORT=7001\nexport MODEL_NAME=x\nrun --model-path y --port 1", "x", 7001),
    ],
)
def test_a_scripts_name_and_port_are_found_as_sglangmux_finds_them(
    text: str, name: str, port: int, tmp_path: Path
) -> None:
    found = member(from_scripts(tmp_path, one=text), name)
    assert (found.name, found.port) == (name, port)


@pytest.mark.parametrize(
    "text", ["", "echo hello", "MODEL_NAME=x", "MODEL_NAME=x\nPORT=$NONE", f"MODEL_NAME=x\nPORT={'9' * 5000}"]
)
def test_what_is_no_launch_script_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(ShimError, match=r"one.sh: it is no launch script of sglangmux"):
        from_scripts(tmp_path, one=text)


def test_two_scripts_with_one_port_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ShimError, match=r"port 30001 is the model at .*'s too"):
        from_scripts(tmp_path, one=SCRIPT, two=SCRIPT.replace("Qwen3-0.6B", "Qwen3-8B"))


def test_its_options_have_their_counterparts(tmp_path: Path) -> None:
    words = ["--listen-port", "30100", "--upstream-timeout-secs=9", "--model-ready-timeout-secs", "8"]
    plan = from_scripts(tmp_path, *words, "--model-switch-timeout-secs", "7", "--log-dir", "/logs", one=SCRIPT)
    found = member(plan, "Qwen/Qwen3-0.6B")
    assert plan.ports.public == 30100
    assert (found.upstream_seconds, found.ready_seconds, found.switch_seconds) == (9, 8, 7)
    said = {decision.name: decision.target for decision in plan.decisions}
    assert said["--upstream-timeout-secs"] == "limits.upstream of every model"
    assert said["--log-dir"] == "VLLM_SHIM_LOG_DIR"
    with pytest.raises(ShimError, match="--upstream-timeout-secs is '0'"):
        from_scripts(tmp_path, "--upstream-timeout-secs", "0", one=SCRIPT)


def test_llama_swaps_models_that_start_vllm_are_translated(several: Several) -> None:
    plan = several(SWAP)
    assert [engine.name for engine in plan.engines] == ["sglang-qwen", "sglang-docker", "model-llama"]
    qwen, docker, llama = plan.engines
    assert qwen.argv[:4] == ("python3", "-m", "sglang.launch_server", "--model-path")
    assert "4096" in qwen.argv
    assert qwen.env["NCCL_DEBUG"] == "INFO"
    assert docker.model == "org/d"
    assert docker.env["NCCL_DEBUG"] == "WARN"
    assert llama.argv == ("llama-server", "--port", str(llama.port), "-m", "llama.gguf")


def test_what_llama_swap_says_of_a_model_is_kept(several: Several) -> None:
    plan = several(SWAP)
    qwen, docker, llama = (member(plan, name) for name in ("qwen", "docker", "llama"))
    assert (qwen.names, qwen.ttl_seconds, qwen.ready_seconds) == (("qwen", "gpt-4o"), 300, 500)
    assert docker.concurrency == 4
    assert (llama.health, llama.preload, llama.pin, llama.group) == ("/ready", True, True, "both")
    assert (qwen.group, qwen.preload) == ("both", False)


GROUPS = "models: {%s}\ngroups:\n%s"


@pytest.mark.parametrize(
    ("groups", "together", "apart"),
    [
        ("  k: {persistent: true, members: [p]}\n  g: {swap: false, members: [a, b]}\n", "pab", "pac"),
        ("  k: {persistent: true, swap: false, members: [p, q]}\n", "pqa", "pqab"),
        (
            "  k: {persistent: true, members: [p]}\n  a: {persistent: true, swap: false, members: [q, r]}\n",
            "pqra",
            "pqrab",
        ),
    ],
    ids=["beside a kept one", "kept together", "both"],
)
def test_a_group_of_llama_swaps_that_does_not_swap_is_one_beside_what_is_kept(
    groups: str, together: str, apart: str, several: Several
) -> None:
    mux = several(GROUPS % (", ".join(f"{name}: {{cmd: 'x ${{PORT}}'}}" for name in "pqrabc"), groups)).mux
    assert mux is not None
    by_name = {member.name: member for member in mux.members}
    assert fit([by_name[name] for name in together], mux)
    assert not fit([by_name[name] for name in apart], mux)


def test_what_llama_swap_has_and_we_have_not_is_named(several: Several) -> None:
    plan = several(SWAP)
    said = [*plan.warnings, *(note for part in plan.parts for note in part.notes)]
    for name in ("logLevel", "filters", "--gpus"):
        assert any(name in line for line in said), name


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("apiKeys: [s3cret]\nmodels: {a: {cmd: x}}", r":1: apiKeys: keys are not taken from a file: set VLLM_API_KEY"),
        ("models:\n  a:\n    ttl: 3\n", r":2: the model a has no cmd"),
        ("models:\n  a:\n    cmd: x ${nope}\n", r":3: cmd: there is no macro 'nope'"),
        ("macros: {a: '${b}', b: '${a}'}\nmodels:\n  a: {cmd: 'x ${a}'}\n", r":3: cmd: its macros name each other"),
        ("models:\n  a: {cmd: x, proxy: 'http://gpu7:1'}\n", r":2: proxy is 'http://gpu7:1': a model's server listens"),
        ("models: {}\n", r":1: no models"),
        ("models: {a: {cmd: 5}}\n", r":1: cmd is 5: give the command that starts it"),
        ("models:\n  a:\n    cmd: [x]\n", r":3: cmd is a list: give the command"),
        ("models:\n  a: {cmd: ' '}\n", r":2: cmd is empty: give the command that starts it"),
        ("models:\n  a: x\n", r":2: a is a text: a mapping is expected"),
        ("macros:\n  m: [x]\nmodels:\n  a: {cmd: '${m}'}\n", r":2: m is a list: give a text"),
        ("models:\n  a:\n    cmd: x\n    env: [1, NAME]\n", r":4: env is '1': give NAME=value"),
        (
            "models: {a: {cmd: x}}\nhooks: {on_startup: {preload: [a,\n b]}}\n",
            r":3: preload names b, which is no model: give one of a",
        ),
        (
            "models: {a: {cmd: x}}\ngroups:\n  g:\n    members: [a, c]\n",
            r":4: members names c, which is no model: give one of a",
        ),
        ("models: {a: {cmd: x}}\nhooks: 5\n", r":2: hooks is a number: a mapping is expected"),
        ("models: {a: {cmd: x}}\ngroups: {g: 5}\n", r":2: g is a number: a mapping is expected"),
    ],
)
def test_what_llama_swap_could_not_mean_here_is_refused(text: str, sentence: str, several: Several) -> None:
    with pytest.raises(ShimError, match=f"models.yaml{sentence}") as caught:
        several(text)
    assert "s3cret" not in str(caught.value)


def test_llama_swaps_names_are_as_they_are_written_and_preload_may_say_an_alias(several: Several) -> None:
    plan = several(
        "macros: {v: 1.10}\nmodels:\n  1.10: {cmd: 'x ${PORT} ${v}', aliases: [2.0, yes]}\n"
        "groups: {g: {members: [1.10], persistent: true}}\nhooks: {on_startup: {preload: [yes]}}\n"
    )
    found = member(plan, "1.10")
    assert (found.names, found.pin, found.preload) == (("1.10", "2.0", "yes"), True, True)
    assert plan.engines[0].argv[-1] == "1.10"


SAVER, BACKUP = "--enable-memory-saver", "--enable-weights-cpu-backup"


@pytest.mark.parametrize(
    ("flags", "tier"),
    [("", "stopped"), (SAVER, "disk"), (f"{SAVER} {BACKUP}", "cpu"), (BACKUP, "stopped")],
)
def test_a_script_whose_sglang_can_sleep_sleeps(flags: str, tier: str, tmp_path: Path) -> None:
    plan = from_scripts(tmp_path, one=SCRIPT.replace(SAVER, flags))
    found = member(plan, "Qwen/Qwen3-0.6B")
    assert found.tier == tier
    assert [plan.parts[0].policy.sleep_mode, plan.parts[0].policy.weights_backup] == [SAVER in flags, BACKUP in flags]
    assert any(SAVER in note for note in plan.parts[0].notes) == (flags == BACKUP)
