"""The folders that --lora-modules names are looked into before the start."""

from __future__ import annotations

from pathlib import Path

from shims import adapters, cli, facts
from tests.middleware.adapter_folders import write_adapter, write_model


def test_the_folders_that_the_command_line_names_are_looked_into(tmp_path: Path) -> None:
    model, half, odd, whole = (tmp_path / name for name in ("model", "half", "odd", "whole"))
    write_model(model)
    write_adapter(half, {"q_proj": (8, 8)})
    write_adapter(odd, {"o_proj": (9, 8)})
    write_adapter(whole, {"o_proj": (8, 8)})
    named = [f"a={half}", f"b={odd}", f"c={whole}", "d=org/b", "nonsense"]
    found = facts.gather(cli.parse([str(model), "--enable-lora", "--lora-modules", *named]), {}).unfit_adapters
    assert list(found) == [str(half), str(odd)]
    assert "none for v_proj" in found[str(half)]
    assert "9 wide, and the model there 8" in found[str(odd)]


def test_an_adapter_of_the_hub_or_of_nowhere_is_left_to_sglang() -> None:
    assert adapters.unfit(["a=org/adapter", "b=/nowhere", None], "org/model") == {}
