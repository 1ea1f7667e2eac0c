"""Adapters named at the start, and room for more."""

from __future__ import annotations

from typing import Any

import pytest

from shims.exceptions import Refused
from tests.shims.conftest import MakePlan
from tests.shims.flags.test_parallel import values

ON = ["--enable-lora"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            [*ON, "--lora-modules", "a=/adapters/a", "b=/x=y"],
            {"--lora-paths": ["a=/adapters/a", "b=/x=y"], "--max-lora-rank": ["16"], "--lora-target-modules": ["all"]},
        ),
        (
            [*ON, "--lora-modules", '{"name": "a", "path": "/a", "base_model_name": "m"}'],
            {"--lora-paths": ["a=/a"]},
        ),
        (
            [*ON, "--lora-modules", '{"name": "a=b", "path": "/a"}'],
            {"--lora-paths": ['{"lora_name": "a=b", "lora_path": "/a"}']},
        ),
        ([*ON, "--lora-modules", ""], {"--lora-paths": None}),
        (["--lora-modules", ""], {"--lora-paths": None, "--enable-lora": None}),
        (
            [*ON, "--lora-target-modules", "q_proj", "o_proj", "q_proj"],
            {"--lora-target-modules": ["q_proj", "o_proj"]},
        ),
        ([*ON, "--max-loras", "4", "--max-cpu-loras", "4"], {"--max-loaded-loras": ["5"]}),
        ([*ON, "--max-loras", "4", "--max-cpu-loras", "100"], {"--max-loaded-loras": ["100"]}),
        ([*ON, "--max-cpu-loras", "2"], {"--max-loaded-loras": ["8"], "--max-loras-per-batch": None}),
        (
            [*ON, "--max-loras", "1", "--max-cpu-loras", "1", "--lora-modules", "a=/a", "b=/b", "c=/c"],
            {"--max-loaded-loras": ["3"]},
        ),
        ([*ON, "--enable-moe-shared-loras"], {"--experts-shared-outer-loras": []}),
        (["--max-lora-rank", "64", "--max-cpu-loras", "4"], {"--max-lora-rank": None, "--max-loaded-loras": None}),
        (["--lora-target-modules", "q_proj", "--default-mm-loras", '{"audio": "/a"}'], {"--lora-target-modules": None}),
    ],
)
def test_a_flag_becomes(words: list[str], expected: dict[str, Any], make_plan: MakePlan) -> None:
    got = values(make_plan("serve", "m", *words))
    assert {name: got.get(name) for name in expected} == expected


def test_adapters_without_the_switch_are_taken_as_meant(make_plan: MakePlan) -> None:
    made = make_plan("serve", "m", "--lora-modules", "a=/a", "b=/b", "--max-loras", "2")
    got = values(made)
    assert (got["--enable-lora"], got["--max-loras-per-batch"], got["--max-lora-rank"]) == ([], ["3"], ["16"])
    assert made.policy.adapters == ("a", "b")
    assert any("--enable-lora" in warning for warning in made.warnings)


@pytest.mark.parametrize(
    ("words", "slots"),
    [
        ([], 0),
        (["--max-loras", "4"], 0),
        (ON, 7),  # of SGLang's eight, one is for requests without an adapter
        ([*ON, "--max-loras", "4"], 4),
        (["--lora-modules", "a=/a"], 7),
        (["--lora-paths", "a=/a"], 7),
        ([*ON, "--max-loras", "4", "--max-loras-per-batch", "3"], 2),
        ([*ON, "--max-loras-per-batch", "1"], 1),
    ],
)
def test_the_middleware_knows_how_many_adapters_a_batch_holds(
    words: list[str], slots: int, make_plan: MakePlan
) -> None:
    assert make_plan("serve", "m", *words).policy.max_loras == slots


def test_what_was_given_is_not_reported_as_added(make_plan: MakePlan) -> None:
    added = make_plan("serve", "m", *ON, "--lora-target-modules", "q_proj", "--max-lora-rank", "8").added
    assert not [target for target, _ in added if "lora" in target]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--lora-modules", "nonsense"], "neither name=path nor JSON"),
        (["--lora-modules", '[{"name": "a", "path": "/a"}]'], "no object with name and path"),
        (["--lora-modules", '{"name": "a"}'], "no object with name and path"),
        (["--lora-modules", '{"name": "a", "path": 3}'], "no text"),
        (["--lora-modules", '{"name": "a", "path": "/a", "x": 1}'], "no object with name and path"),
        (["--lora-modules", "=x"], "is empty"),
        (["--lora-modules", "a=/a", "a=/b"], "two adapters"),
        (["--no-enable-lora", "--lora-modules", "a=/a"], "contradicts"),
        ([*ON, "--max-loras", "0"], "give 1 or more"),
        ([*ON, "--max-loras", "4", "--max-cpu-loras", "2"], "less than --max-loras"),
        ([*ON, "--lora-target-modules", "c_attn"], "knows no --lora-target-modules c_attn"),
        ([*ON, "--default-mm-loras", '{"audio": "/a"}'], "name it in the request"),
        ([*ON, "--enable-tower-connector-lora"], "language model only"),
        ([*ON, "--lora-extra-vocab-size", "512"], "tokens of their own"),
        (["--enable-prompt-adapter"], "no prompt adapters"),
    ],
)
def test_is_refused(words: list[str], message: str, make_plan: MakePlan) -> None:
    with pytest.raises(Refused, match=message):
        make_plan("serve", "m", *words)


def test_an_adapter_that_sglang_cannot_load_is_refused_by_its_name(make_plan: MakePlan) -> None:
    words = ("serve", "m", *ON, "--lora-modules", "whole=/whole", "half=/half")
    with pytest.raises(Refused, match="SGLang cannot load 'half': it has weights for q_proj and none for v_proj"):
        make_plan(*words, unfit_adapters={"/half": "it has weights for q_proj and none for v_proj"})
    assert "--lora-paths" in values(make_plan(*words, unfit_adapters={}))
