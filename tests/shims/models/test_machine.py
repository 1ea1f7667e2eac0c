"""What can never run on this machine, and what is known of its devices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shims.exceptions import ShimError
from shims.models import gpus
from shims.places import Places
from tests.shims.models.conftest import Several, member

GIB = 1 << 30


def two(first: str, second: str = "", top: str = "device_memory_gib: 80") -> str:
    return f"{top}\nmodels:\n  - {{serve: a, {first}}}\n  - {{serve: b, {second or first}}}\n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (two("devices: [0, 7]"), r":3: device 7 does not exist: this machine has 0 to 1"),
        (two("devices: 0, memory_gib: 90"), r":3: memory_gib is 90, and device 0 has 80: it can never fit"),
        (two("memory_gib: 9"), r":3: memory_gib is of its devices: give `devices:` too"),
        (two("devices: 0, memory_gib: 50, pin: true"), r":4: b and a: both are pinned, and do not fit together"),
        (
            two("devices: 0, memory_gib: 50, pin: true", "devices: [0, 1]"),
            r":4: b and a: it does not fit beside what is",
        ),
        (two("pin: true", "pin: false"), r":4: b and a: it does not fit beside what is pinned"),
        (two("devices: 0, pin: true", "name: c"), r":4: c and a: it does not fit beside what is pinned"),
    ],
)
def test_what_can_never_be_is_said_before_anything_starts(text: str, sentence: str, several: Several) -> None:
    with pytest.raises(ShimError, match=f"models.yaml{sentence}"):
        several(text, device_memory=(80.0, 80.0))


@pytest.mark.parametrize(
    "text",
    [
        two("devices: 0, memory_gib: 40, pin: true"),
        two("devices: 0, pin: true, group: g"),
        two("devices: 0, pin: true", "devices: 1, pin: true"),
        two("pin: true", "pin: false", top="slots: 2"),
        two("devices: 0, pin: true", "devices: []"),
        two("devices: 0, pin: true, group: g", "group: g"),
    ],
)
def test_what_fits_is_taken(text: str, several: Several) -> None:
    assert len(several(text, device_memory=(80.0, 80.0)).engines) == 2


def test_a_model_without_devices_may_be_on_any_and_one_with_an_empty_list_sees_none(several: Several) -> None:
    plan = several("models:\n  - {serve: a}\n  - {serve: b, devices: []}\n  - {serve: c, devices: 0}\n")
    assert [member(plan, name).anywhere for name in "abc"] == [True, False, False]
    seen = [engine.env.get("CUDA_VISIBLE_DEVICES") for engine in plan.engines]
    assert seen == [None, "", "0"]
    [warning] = [line for line in plan.warnings if "`devices: []`" in line]
    assert warning.startswith("a: ")
    assert not any("`devices: []`" in line for line in several("models: [{serve: a}, {serve: b}]").warnings)


@pytest.mark.parametrize(
    ("env", "own", "order"),
    [
        ({}, "", "PCI_BUS_ID"),
        ({"CUDA_DEVICE_ORDER": "FASTEST_FIRST"}, "", None),
        ({}, "FASTEST_FIRST", "FASTEST_FIRST"),
    ],
    ids=["by the bus", "the container says", "the model says"],
)
def test_devices_are_numbered_for_cuda_as_nvidia_smi_numbers_them(
    env: dict[str, str], own: str, order: str | None, several: Several
) -> None:
    said = f", env: {{CUDA_DEVICE_ORDER: {own}}}" if own else ""
    text = f"models:\n  - {{serve: a, devices: 1{said}}}\n  - {{cmd: 'b ${{PORT}}', name: b, devices: 1{said}}}\n"
    engines = several(text, env=env).engines
    assert [engine.env.get("CUDA_DEVICE_ORDER") for engine in engines] == [order, order]
    without = several("models: [{serve: a}, {serve: b, devices: []}]").engines
    assert not any("CUDA_DEVICE_ORDER" in engine.env for engine in without)
    amd = several(text, env=env, places=Places(architecture="gfx942")).engines
    assert [engine.env.get("CUDA_DEVICE_ORDER") for engine in amd] == [own or None] * 2


WIDE = "models:\n  - serve: a %s\n    devices: %s\n"


@pytest.mark.parametrize(
    ("flags", "devices", "sentence"),
    [
        ("--tensor-parallel-size 2", "0", r":3: devices names 1, and its command line runs on 2 GPUs \(--tp-size 2\)"),
        ("-tp 2 -pp 2", "[0, 1]", r":3: devices names 2, .* 4 GPUs \(--tp-size 2, --pp-size 2\): name 4"),
        ("--tp-size 2 --dp-size 2", "[0, 1]", r":3: devices names 2, .* 4 GPUs"),
        ("--device-ids 1", "[0]", r":2: --device-ids and devices are one thing said twice: leave the flag out"),
    ],
)
def test_a_model_that_runs_on_more_gpus_than_it_names_is_refused(
    flags: str, devices: str, sentence: str, several: Several
) -> None:
    with pytest.raises(ShimError, match=f"models.yaml{sentence}"):
        several(WIDE % (flags, devices))


@pytest.mark.parametrize(
    ("flags", "devices"),
    [
        ("--tensor-parallel-size 2", "[0, 1]"),
        ("--tp-size 2 --dp-size 2 --enable-dp-attention", "[0, 1]"),
        ("--tp-size 2 --base-gpu-id 1", "[0, 1, 2]"),
    ],
)
def test_a_model_that_names_the_gpus_that_it_runs_on_is_taken_without_a_word(
    flags: str, devices: str, several: Several
) -> None:
    assert not any("GPUs" in line for line in several(WIDE % (flags, devices)).warnings)


def test_a_model_that_runs_on_fewer_gpus_than_it_names_is_a_warning(several: Several) -> None:
    plan = several(WIDE % ("", "[0, 1]"))
    assert any("models.yaml:3: devices names 2, and its command line runs on 1 GPU:" in line for line in plan.warnings)


def test_the_operators_word_on_memory_beats_the_drivers(several: Several) -> None:
    text = "models:\n  - {serve: a, devices: 1}\n"
    assert several(text, device_memory=(64.0, 192.0)).mux.device_memory == {1: 192.0}  # type: ignore[union-attr]
    told = several(f"device_memory_gib: {{1: 100}}\n{text}", device_memory=(64.0, 192.0))
    assert told.mux.device_memory == {1: 100.0}  # type: ignore[union-attr]


def test_devices_on_a_machine_without_a_gpu_are_a_warning(several: Several) -> None:
    plan = several("models:\n  - {serve: a, devices: 0}\n", device_memory=())
    assert any("no GPU was found" in warning for warning in plan.warnings)
    assert member(plan, "a").devices == (0,)


@pytest.mark.parametrize(
    ("visible", "sentence"),
    [("2,3", "device 0 is none of the container's visible ones: 2, 3"), ("GPU-5c", "must hold numbers; unset it")],
)
def test_devices_are_among_those_that_the_container_sees(visible: str, sentence: str, several: Several) -> None:
    with pytest.raises(ShimError, match=sentence):
        several("models:\n  - {serve: a, devices: 0}\n", env={"CUDA_VISIBLE_DEVICES": visible})


def test_amds_devices_are_read_from_the_kernels_own_list(tmp_path: Path) -> None:
    nodes: list[tuple[int, list[int]]] = [(0, [512]), (90402, [64, 128]), (90402, [192]), (90402, [1])]
    for number, (version, banks) in enumerate(nodes):
        folder = tmp_path / f"sys/class/kfd/kfd/topology/nodes/{number}"
        folder.mkdir(parents=True)
        (folder / "properties").write_text(f"simd_count 1\ngfx_target_version {version}\n")
        for index, gib in enumerate(banks):
            bank = folder / f"mem_banks/{index}"
            bank.mkdir(parents=True)
            (bank / "properties").write_text(f"heap_type 1\nsize_in_bytes {gib * GIB}\n")
    assert gpus.memory(tmp_path) == (192.0, 192.0, 1.0)
    assert gpus.memory(tmp_path / "none") == ()


def test_ports_pass_over_what_is_taken_and_reserved(several: Several) -> None:
    text = "models:\n  - {serve: a}\n  - {serve: b, port: 8004}\n  - {serve: c}\n"
    plan = several(text, "--port", "8000", taken_ports=frozenset({8003}))
    assert [engine.port for engine in plan.engines] == [8001, 8004, 8005]
    with pytest.raises(ShimError, match="port 8004 of a model is taken"):
        several(text, "--port", "8000", taken_ports=frozenset({8004}))


def test_two_models_with_one_last_word_have_two_programs(several: Several) -> None:
    plan = several("models:\n  - {serve: one/Chat}\n  - {serve: two/chat}\n")
    assert [engine.name for engine in plan.engines] == ["sglang-chat", "sglang-chat-2"]


def test_two_tokens_of_the_hub_are_refused(several: Several) -> None:
    token = "models:\n  - {serve: a --hf-token one}\n  - {serve: b --hf-token %s}\n"
    assert several(token % "one").secrets
    with pytest.raises(ShimError, match=r"models.yaml:3: its HF_TOKEN is another than an earlier model's") as caught:
        several(token % "zweites")
    assert "zweites" not in str(caught.value)


@pytest.mark.parametrize(
    ("words", "env", "files"),
    [
        (["serve"], {"VLLM_SHIM_MODELS": "{0}, {1}"}, 2),
        (["serve", "--shim-models", "{0}", "{1}", "--port", "9"], {}, 2),
        (["serve", "--shim-models={0}", "--shim_models", "{1}"], {}, 2),
        (["serve", "--shim-models", "{0}"], {"VLLM_SHIM_MODELS": "{1}"}, 1),
    ],
)
def test_files_are_named_by_the_flag_or_the_variable(
    words: list[str], env: dict[str, str], files: int, tmp_path: Path
) -> None:
    from shims import start
    from shims.facts import Facts

    paths = [str(tmp_path / name) for name in ("1.yaml", "2.yaml")]
    for path in paths:
        Path(path).write_text(f"models: [{{serve: '{Path(path).stem}'}}]\n")
    given: Any = {name: value.format(*paths) for name, value in env.items()}
    plan = start.plan([word.format(*paths) for word in words], given, Facts())
    assert len(plan.engines) == files


def test_both_files_may_not_say_the_same_setting(tmp_path: Path, several: Several) -> None:
    other = tmp_path / "other.yaml"
    other.write_text("queue: 4\nmodels: [{serve: b}]\n")
    with pytest.raises(ShimError, match=r"queue is given by .*models.yaml and .*other.yaml: leave one out"):
        several("queue: 3\nmodels: [{serve: a}]\n", "--shim-models", str(other))
