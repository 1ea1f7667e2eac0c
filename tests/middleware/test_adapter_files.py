"""Adapters that SGLang would end its start over, or its first request, told by the indexes of their weights."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Any

import pytest

from middleware.adapter_files import unfit
from tests.middleware.adapter_folders import MODULES, write_adapter, write_index, write_model

WHOLE = {name: MODULES[name] for name in ("q_proj", "k_proj", "v_proj")}


@pytest.fixture
def model(tmp_path: Path) -> str:
    write_model(tmp_path / "model")
    return str(tmp_path / "model")


def of(*names: str) -> dict[str, tuple[int, int]]:
    return {name: MODULES[name] for name in names}


@pytest.mark.parametrize(
    ("modules", "missing"),
    [
        (("q_proj", "k_proj", "v_proj"), ""),
        (("q_proj", "v_proj", "o_proj"), ""),
        (("o_proj", "gate_proj", "down_proj"), ""),
        (tuple(MODULES), ""),
        (("q_proj",), "v_proj"),
        (("q_proj", "k_proj"), "v_proj"),
        (("k_proj", "v_proj"), "q_proj"),
        (("v_proj",), "q_proj"),
        (("up_proj", "down_proj"), "gate_proj"),
    ],
)
def test_what_sglang_joins_must_be_whole(modules: tuple[str, ...], missing: str, model: str, tmp_path: Path) -> None:
    write_adapter(tmp_path, of(*modules))
    said = unfit(str(tmp_path), model)
    assert (f"none for {missing}. Train both" in said) if missing else not said


def test_a_model_without_a_gate_takes_an_adapter_without_one(tmp_path: Path) -> None:
    base, adapter = tmp_path / "base", tmp_path / "adapter"
    write_model(base)
    write_index(base / "model.safetensors", {"model.layers.0.mlp.up_proj.weight": [16, 8]})
    write_adapter(adapter, of("up_proj"), layers=[0])
    assert unfit(str(adapter), str(base)) == ""


@pytest.mark.parametrize(
    ("modules", "options", "words"),
    [
        (WHOLE, {}, ""),
        ({"o_proj": (9, 8)}, {}, "o_proj.lora_A.weight is 9 wide, and the model there 8"),
        ({"o_proj": (8, 9)}, {}, "o_proj.lora_B.weight is 9 wide, and the model there 8"),
        ({**WHOLE, "k_proj": (8, 5)}, {}, "k_proj.lora_B.weight is 5 wide, and the model there 4"),
        (WHOLE, {"r": 3}, "is of rank 2, and adapter_config.json says 3"),
        (WHOLE, {"layers": (1, 2)}, "weights for layer 2, and the model has 2 layers"),
        (
            {**WHOLE, "c_attn": (8, 8)},
            {"target_modules": list(WHOLE)},
            "weights for 'c_attn', which neither the model nor its own target_modules know",
        ),
        (WHOLE, {"target_modules": "all-linear"}, ""),
        (WHOLE, {"r": "eight"}, "its r is 'eight', which is no whole number"),
        (WHOLE, {"r": 8.0}, "its r is 8.0, which is no whole number"),
        (WHOLE, {"r": 0}, "its r is 0, which is no whole number above 0"),
        (WHOLE, {"r": True}, "its r is True"),
        (WHOLE, {"lora_alpha": None}, "its lora_alpha is None, which is no number"),
        (WHOLE, {"use_rslora": True, "r": 16, "lora_alpha": 8}, "a lora_alpha of 32 without it is the same"),
        (WHOLE, {"target_modules": None}, "its target_modules are None, which is no list of names"),
        (WHOLE, {"peft_type": "IA3"}, "it is no LoRA adapter: its peft_type is 'IA3'"),
    ],
)
def test_what_fits_and_what_does_not(
    modules: dict[str, tuple[int, int]], options: dict[str, Any], words: str, model: str, tmp_path: Path
) -> None:
    write_adapter(tmp_path, modules, **options)
    said = unfit(str(tmp_path), model)
    assert words in said if words else not said


@pytest.mark.parametrize(
    ("modules", "words"),
    [
        (WHOLE, ""),
        ({"o_proj": (99, 8)}, ""),  # How wide a head is, only the weights know.
        ({"o_proj": (8, 9)}, "9 wide, and the model there 8"),
        ({"down_proj": (16, 9)}, "9 wide, and the model there 8"),
        ({**WHOLE, "v_proj": (9, 4)}, "9 wide, and the model there 8"),
    ],
)
@pytest.mark.parametrize("options", [{"weights": False}, {"dtype": "I32"}])
def test_without_weights_that_can_be_read_the_configuration_is_asked(
    modules: dict[str, tuple[int, int]], words: str, options: dict[str, Any], tmp_path: Path
) -> None:
    base, adapter = tmp_path / "base", tmp_path / "adapter"
    write_model(base, **options)
    write_adapter(adapter, modules)
    said = unfit(str(adapter), str(base))
    assert words in said if words else not said
    assert unfit(str(adapter)) == ""


def test_an_adapter_of_a_text_model_fits_the_same_model_in_a_wrapper(tmp_path: Path) -> None:
    base, adapter = tmp_path / "base", tmp_path / "adapter"
    write_model(base, text_config={"hidden_size": 8, "num_hidden_layers": 1}, hidden_size=None)
    shapes = {
        "model.language_model.layers.0.self_attn.o_proj.weight": [8, 6],
        "model.visual.layers.0.self_attn.q_proj.weight": [3, 3],
        "model.language_model.layers.0.self_attn.q_proj.weight": [8, 8],
    }
    write_index(base / "model.safetensors", shapes)
    write_adapter(adapter, {"o_proj": (6, 8)}, layers=[0])
    assert unfit(str(adapter), str(base)) == ""
    write_adapter(adapter, {"o_proj": (8, 8)}, layers=[0])
    assert "8 wide, and the model there 6" in unfit(str(adapter), str(base))
    write_adapter(adapter, {"q_proj": (8, 7), "v_proj": (8, 7)}, layers=[0])
    assert unfit(str(adapter), str(base)) == ""  # Whose q_proj it is nobody can tell.


def test_what_holds_no_numbers_is_a_place_that_is_kept(model: str, tmp_path: Path) -> None:
    write_adapter(tmp_path, of("gate_proj"))
    write_index(tmp_path / "more.safetensors", {"base_model.model.model.layers.0.mlp.up_proj.lora_A.weight": [0]})
    assert unfit(str(tmp_path), model) == ""


@pytest.mark.parametrize(
    "content",
    [b"", b"\x01", struct.pack("<Q", 1 << 60), struct.pack("<Q", 2) + b"[]", struct.pack("<Q", 3) + b"\xff{}"],
)
def test_weights_that_cannot_be_read_are_left_to_sglang(content: bytes, model: str, tmp_path: Path) -> None:
    write_adapter(tmp_path, WHOLE)
    (tmp_path / "adapter_model.safetensors").write_bytes(content)
    assert unfit(str(tmp_path), model) == ""


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"[" * 100_000])
def test_a_configuration_that_is_none(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_bytes(content)
    assert unfit(str(tmp_path)) == "adapter_config.json is no JSON object"


def test_nothing_waits_for_a_fifo(model: str, tmp_path: Path) -> None:
    write_adapter(tmp_path, WHOLE)
    os.mkfifo(tmp_path / "a.safetensors")
    assert unfit(str(tmp_path), model) == ""
    (tmp_path / "adapter_config.json").unlink()
    os.mkfifo(tmp_path / "adapter_config.json")
    assert unfit(str(tmp_path), model) == "adapter_config.json is no JSON object"


def test_an_index_with_strange_entries(model: str, tmp_path: Path) -> None:
    write_adapter(tmp_path, WHOLE)
    strange = {
        "a": 1,
        "b": {"shape": "x"},
        "base_model.model.model.layers.0.self_attn.o_proj.lora_A.weight": {"shape": [2]},
    }
    text = json.dumps(strange).encode()
    (tmp_path / "b.safetensors").write_bytes(struct.pack("<Q", len(text)) + text)
    assert "has 1 dimension" in unfit(str(tmp_path), model)


def test_an_adapter_of_the_hub_or_of_nowhere_is_left_to_sglang(tmp_path: Path) -> None:
    assert unfit("org/adapter") == unfit("/nowhere\0") == unfit(str(tmp_path)) == ""
