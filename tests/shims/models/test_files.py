"""A models file: what it becomes, and what is said of one that is wrong, with the line."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import pytest

from shims.exceptions import ShimError
from shims.models import document, keys, schema
from shims.models.entry import Limits
from shims.places import Places
from switcher import spec
from tests.shims.models.conftest import Several, member

ROOT = Path(__file__).parent.parent.parent.parent
TWO = """\
models:
  - serve: org/a --max-model-len 4096
    name: a
    aliases: [big]
  - serve: [org/b, --served-model-name, bee, b2]
"""


def test_each_model_is_translated_by_itself_with_the_common_flags_before_its_own(several: Several) -> None:
    plan = several(f"common: --max-model-len 8192 --seed 3\n{TWO}", "--port", "8000")
    first, second = plan.engines
    assert [engine.name for engine in plan.engines] == ["sglang-a", "sglang-bee"]
    assert ("--context-length", "4096") in pairwise(first.argv)
    assert ("--context-length", "8192") in pairwise(second.argv)
    assert all(("--random-seed", "3") in pairwise(engine.argv) for engine in plan.engines)
    assert [("--port", str(engine.port)) in pairwise(engine.argv) for engine in plan.engines] == [True, True]
    assert (first.port, second.port, plan.ports.middleware) == (8001, 8003, 8002)


def test_names_are_the_name_then_the_served_names_then_the_aliases(several: Several) -> None:
    plan = several(TWO)
    assert member(plan, "a").names == ("a", "big")
    assert member(plan, "bee").names == ("bee", "b2")
    assert plan.models == ("a", "big", "bee", "b2")
    assert plan.programs == ("sglang-a", "sglang-bee", "middleware", "haproxy")


def test_json_with_tabs_says_the_same_as_yaml(several: Several) -> None:
    text = json.dumps({"models": [{"serve": "org/a", "name": "a", "limits": {"queue": 3}}]}, indent="\t")
    assert member(several(text, name="models.json"), "a").queue_limit == 3


@pytest.mark.parametrize(
    ("tier", "flags"),
    [
        ("cpu", ["--enable-memory-saver", "--enable-weights-cpu-backup"]),
        ("disk", ["--enable-memory-saver"]),
        ("stopped", []),
    ],
)
def test_a_tier_is_flags_of_sglangs_and_the_middleware_knows_them(
    tier: str, flags: list[str], several: Several
) -> None:
    plan = several(f"models:\n  - serve: org/a\n    name: a\n    tier: {tier}\n")
    given = [word for word in plan.engines[0].argv if word in ("--enable-memory-saver", "--enable-weights-cpu-backup")]
    assert given == flags
    policy = plan.parts[0].policy
    assert [policy.sleep_mode, policy.weights_backup] == [bool(flags), len(flags) == 2]


@pytest.mark.parametrize(
    ("architecture", "variables"),
    [("gfx942", ["CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"]), ("nvidia-h100", ["CUDA_VISIBLE_DEVICES"])],
)
def test_devices_and_env_are_the_members_alone(architecture: str, variables: list[str], several: Several) -> None:
    text = (
        "models:\n  - {serve: org/a, name: a, devices: [0, 1], env: {NCCL_DEBUG: INFO}}\n  - {serve: org/b, name: b}\n"
    )
    first, second = several(text, places=Places(architecture=architecture)).engines
    assert {name: value for name, value in first.env.items() if name.endswith("DEVICES")} == dict.fromkeys(
        variables, "0,1"
    )
    assert first.env["NCCL_DEBUG"] == "INFO"
    assert not any(name.endswith("DEVICES") or name == "NCCL_DEBUG" for name in second.env)


def test_memory_gib_is_sglangs_part_of_the_device_unless_the_command_line_says_one(several: Several) -> None:
    text = "device_memory_gib: 80\nmodels:\n  - {serve: 'org/a %s', name: a, devices: 0, memory_gib: 40}\n"
    assert ("--mem-fraction-static", "0.4") in pairwise(several(text % "").engines[0].argv)
    own = several(text % "--gpu-memory-utilization 0.4").engines[0].argv
    assert ("--mem-fraction-static", "0.3") in pairwise(own)
    with pytest.raises(ShimError, match=r"models.yaml:3: --gpu-memory-utilization 0.9 of 80 GiB is 72.0 GiB"):
        several(text % "--gpu-memory-utilization 0.9")


def test_a_members_host_and_port_are_left_out_with_a_line_and_a_key_is_refused(several: Several) -> None:
    plan = several("models:\n  - serve: org/a --port 9000 --host 0.0.0.0\n", "--port", "8000")
    lines = {d.name: d.action for d in plan.parts[0].decisions}
    assert (lines["--port"], lines["--host"]) == ("drop", "drop")
    assert plan.ports.public == 8000
    with pytest.raises(ShimError, match=r"models.yaml:2: --api-key: it is of the whole server"):
        several("models:\n  - serve: org/a --api-key s3cret\n")


def test_another_server_runs_as_it_is(several: Several) -> None:
    plan = several("models:\n  - cmd: bin/llama --port ${PORT}\n    name: l\n    health: /ok\n    devices: [1]\n")
    [engine] = plan.engines
    assert (engine.name, engine.argv) == ("model-l", ("bin/llama", "--port", "8001"))
    assert engine.env == {"CUDA_VISIBLE_DEVICES": "1", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    assert (member(plan, "l").kind, member(plan, "l").health) == ("other", "/ok")


def test_the_preview_says_for_each_decision_of_which_engine_it_is(several: Several) -> None:
    shown = several(TWO, "--port", "8000").to_json()
    assert [engine["name"] for engine in shown["engines"]] == ["sglang-a", "sglang-bee"]
    whose = {(d.get("engine"), d["name"]) for d in shown["decisions"]}
    assert {(None, "--port"), ("sglang-a", "--max-model-len"), ("sglang-bee", "--served-model-name")} <= whose
    assert ("sglang-a", "--port") not in whose


@pytest.mark.parametrize(
    "word", ["1.10", "yes", "True", "no", "0x1F", "010", "1e3", "1_000", "12:30", "2025-05-27", ".inf", "7", "'null'"]
)
def test_names_and_variables_are_as_they_are_written(word: str, several: Several) -> None:
    text = (
        f"models:\n  - serve: org/a\n    name: {word}\n    aliases: [x{word.strip(chr(39))}]\n    env: {{V: {word}}}\n"
    )
    plan, own = several(text), word.strip("'")
    assert member(plan, own).names == (own, f"x{own}")
    assert plan.engines[0].env["V"] == own
    alone = several(f"models:\n  - serve: [org/a, --served-model-name, {word}]\n    aliases: {word}\n")
    assert member(alone, own).names == (own,)


def test_nothing_is_no_name_and_an_empty_variable(several: Several) -> None:
    plan = several("models:\n  - {serve: org/a, name: null, aliases: ~, env: {A: , B: ~, C: null}}\n")
    assert member(plan, "org/a").names == ("org/a",)
    assert [plan.engines[0].env[name] for name in "ABC"] == ["", "", "null"]
    json_ = several('{"models": [{"serve": "org/a", "name": null, "env": {"C": null}}]}', name="models.json")
    assert json_.engines[0].env["C"] == ""
    with pytest.raises(ShimError, match=r"models.yaml:2: aliases is a list: give a list of names"):
        several("models:\n  - {serve: org/a, aliases: [~]}\n")


WRONG = [
    ("models:\n  - serve: org/a\n    memory_gib: lots\n", r"models.yaml:3: memory_gib is 'lots': give a number of GiB"),
    (
        "models:\n  - serve: org/a\n    prioritty: 1\n",
        r"models.yaml:3: a model has no key 'prioritty': did you mean pri",
    ),
    (
        "models:\n  - serve: org/a\n    limits:\n      que: 1\n",
        r"models.yaml:4: limits has no key 'que': did you mean q",
    ),
    ("models:\n  - serve: org/a\n    pin: yes please\n", r"models.yaml:3: pin is 'yes please': give true or false"),
    ("models:\n  - serve: org/a\n    tier: gpu\n", r"models.yaml:3: tier is 'gpu': give one of cpu, disk, stopped"),
    (
        "models:\n  - serve: org/a\n    devices: [0, 0]\n",
        r"models.yaml:3: devices is a list: give a list of device num",
    ),
    ("models:\n  - name: a\n", r"models.yaml:2: a model has `serve`"),
    ("models:\n  - serve: org/a\n    cmd: x\n", r"models.yaml:2: a model has `serve`"),
    ("models:\n  - cmd: x ${PORT}\n", r"models.yaml:2: a `cmd` needs a name"),
    ("models:\n  - cmd: x\n    name: x\n", r"models.yaml:2: a `cmd` needs its port"),
    ("models: []\n", r"models.yaml:1: no models"),
    ("", r"models.yaml:1: no models"),
    (
        "models:\n  - serve: org/a\n  - serve: org/a\n",
        r"models.yaml:3: the name 'org/a' is given to the model at .*:2 too",
    ),
    (
        "models:\n  - {serve: x, port: 7}\n  - {serve: y, port: 7}\n",
        r"models.yaml:3: port 7 is the model at .*:2's too",
    ),
    ("models:\n  - {serve: x, port: 8000}\n", r"models.yaml:2: port 8000 is the front door's too"),
    ("models:\n  - serve: x\n    serve: y\n", r"models.yaml:3: serve is given twice"),
    ("models:\n  - serve: 'x\n", r"models.yaml is not valid YAML, line"),
    ("models:\n  - serve: x --max-model-lenn 3\n", r"models.yaml:2: --max-model-lenn: neither vLLM nor SGLang"),
    ("models:\n  - serve: x --max-model-len lots\n", r"models.yaml:2: argument --max-model-len"),
    ("models:\n  - serve: x\n    env: {HF_TOKEN: s}\n", r"models.yaml:3: env has HF_TOKEN, a secret"),
    (
        "models:\n  - serve: x\n    env: {VLLM_SHIM_RUN_DIR: s}\n",
        r"models.yaml:3: env has VLLM_SHIM_RUN_DIR, which is of",
    ),
    ("models:\n  - serve: x --nnodes 2\n", r"models.yaml:2: --nnodes: several models on several nodes"),
    ("default: z\nmodels:\n  - serve: x\n", r"default is 'z': give one of x"),
    ("common: --served-model-name z\nmodels:\n  - serve: x\n", r"--served-model-name: a name is one model's"),
    ("common: org/z\nmodels:\n  - serve: x\n", r"org/z is named beside --shim-models"),
]


@pytest.mark.parametrize(("text", "sentence"), WRONG)
def test_what_is_wrong_is_said_with_its_line(text: str, sentence: str, several: Several) -> None:
    with pytest.raises(ShimError, match=sentence):
        several(text)


def test_aliases_that_grow_without_end_end_early(several: Several) -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]" for old, new in pairwise("abcdefgh")]
    with pytest.raises(ShimError, match="grow without end"):
        several("\n".join(lines))


def test_a_file_that_is_not_there_is_a_sentence(several: Several) -> None:
    with pytest.raises(ShimError, match=r"/no/such.yaml: No such file"):
        several(TWO, "--shim-models", "/no/such.yaml")


def test_the_example_is_accepted_and_holds_every_key(several: Several) -> None:
    text = (ROOT / "docs/models.example.yaml").read_text()
    plan = several(text, device_memory=(80.0, 80.0))
    assert len(plan.engines) == 3
    plain = document.parse(text, "x").plain()
    assert {key.name for key in keys.TOP} == set(plain)
    assert {key.name for key in keys.MODEL} == {key for model in plain["models"] for key in model}
    limits = next(model["limits"] for model in plain["models"] if "limits" in model)
    assert {key.name for key in keys.LIMITS} == set(limits)


def test_a_limit_that_is_not_given_is_the_tables() -> None:
    assert {key.name: key.default for key in keys.LIMITS} == asdict(Limits())


def test_the_schema_takes_the_example_and_none_of_what_the_reader_refuses() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    rules = json.loads(schema.schema())
    judge = jsonschema.Draft202012Validator(rules)
    judge.check_schema(rules)
    assert list(judge.iter_errors(document.parse((ROOT / "docs/models.example.yaml").read_text(), "x").plain())) == []
    for text, _ in WRONG[:9]:
        assert list(judge.iter_errors(document.parse(text, "x").plain())), text


def test_what_the_switcher_reads_is_what_was_asked_for(several: Several) -> None:
    plan = several((ROOT / "docs/models.example.yaml").read_text())
    assert plan.mux is not None
    assert spec.read(json.dumps(plan.mux.to_json())) == plan.mux
    first = member(plan, "qwen3-8b")
    assert (first.tier, first.ttl_seconds, first.priority, first.group) == (spec.Tier.CPU, 900, 3, "small")
    assert re.fullmatch("[0-9a-f]{16}", first.command)
