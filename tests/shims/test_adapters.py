"""Adapters that SGLang would end its start over, told by the names of their weights."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from shims import adapters, cli, facts

A, B = "lora_A.weight", "lora_B.weight"


def write(folder: Path, *modules: str, layer: int = 0, file: str = "adapter_model.safetensors") -> None:
    names = [f"base_model.model.model.layers.{layer}.self_attn.{one}.{part}" for one in modules for part in (A, B)]
    index = json.dumps({name: {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for name in names}).encode()
    (folder / file).write_bytes(struct.pack("<Q", len(index)) + index)


@pytest.mark.parametrize(
    ("modules", "missing"),
    [
        (("q_proj", "k_proj", "v_proj"), ""),
        (("q_proj", "v_proj", "o_proj"), ""),
        (("q_proj",), "v_proj"),
        (("q_proj", "k_proj"), "v_proj"),
        (("k_proj", "v_proj"), ""),
        (("qkv_proj", "o_proj"), ""),
        (("up_proj", "down_proj"), ""),
    ],
)
def test_queries_need_values_beside_them(modules: tuple[str, ...], missing: str, tmp_path: Path) -> None:
    write(tmp_path, *modules)
    assert adapters.lacking(str(tmp_path)) == missing


def test_the_layer_and_not_the_file_counts(tmp_path: Path) -> None:
    write(tmp_path, "q_proj", file="a.safetensors")
    write(tmp_path, "v_proj", file="b.safetensors")
    assert adapters.lacking(str(tmp_path)) == ""
    write(tmp_path, "q_proj", layer=1, file="c.safetensors")
    assert adapters.lacking(str(tmp_path)) == "v_proj"


@pytest.mark.parametrize(
    "content",
    [b"", b"\x01", struct.pack("<Q", 1 << 60), struct.pack("<Q", 2) + b"[]", struct.pack("<Q", 3) + b"\xff{}"],
)
def test_what_is_no_such_file_is_left_to_sglang(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "adapter_model.safetensors").write_bytes(content)
    assert adapters.lacking(str(tmp_path)) == ""


def test_an_adapter_of_the_hub_or_of_nowhere_is_left_to_sglang() -> None:
    assert adapters.lacking("org/adapter") == adapters.lacking("/nowhere\0") == ""


def test_the_folders_that_the_command_line_names_are_looked_into(tmp_path: Path) -> None:
    write(tmp_path, "q_proj")
    words = ["m", "--enable-lora", "--lora-modules", f"a={tmp_path}", "b=org/b", "nonsense"]
    assert facts.gather(cli.parse(words), {}).half_adapters == {str(tmp_path): "v_proj"}
