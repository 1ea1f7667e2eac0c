"""Load formats, loaders' settings, prefetching."""

from __future__ import annotations

import json

import pytest

from shims.catalog import load
from shims.exceptions import Refused
from shims.values.loading import LOAD_FORMAT, LOADER_KEYS
from tests.shims.conftest import MakePlan
from tests.shims.flags.test_model import value


@pytest.mark.parametrize(
    ("words", "flag", "expected"),
    [
        (["--load-format", "runai_streamer"], "--load-format", "runai_streamer"),
        (["--load-format", "SafeTensors"], "--load-format", "safetensors"),
        (["--load-format", "hf"], "--load-format", None),
        (["--safetensors-load-strategy", "prefetch"], "--weight-loader-prefetch-checkpoints", ""),
        (["--safetensors-load-strategy", "eager"], "--weight-loader-disable-mmap", ""),
        (["--safetensors-load-strategy", "lazy"], "--weight-loader-disable-mmap", None),
        (["--safetensors-prefetch-num-threads", "8"], "--weight-loader-prefetch-num-threads", None),
        (
            ["--safetensors-load-strategy", "prefetch", "--safetensors-prefetch-num-threads", "8"],
            "--weight-loader-prefetch-num-threads",
            "8",
        ),
        (
            ["--model-loader-extra-config", '{"enable_multithread_load": true, "num_threads": 16}'],
            "--model-loader-extra-config",
            '{"enable_multithread_load":true,"num_threads":16}',
        ),
        (
            ["--load-format", "runai_streamer", "--model-loader-extra-config.concurrency", "16"],
            "--model-loader-extra-config",
            '{"concurrency":16}',
        ),
        (["--model-loader-extra-config", '{"enable_weights_track": true}'], "--model-loader-extra-config", None),
        (["--model-loader-extra-config", "{}"], "--model-loader-extra-config", None),
        (["--download-dir", "/models"], "--download-dir", "/models"),
    ],
)
def test_a_flag_becomes(words: list[str], flag: str, expected: str | None, make_plan: MakePlan) -> None:
    assert value(make_plan("serve", "m", *words), flag) == expected


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--load-format", "tensorizer"], "those with a counterpart: auto, bitsandbytes"),
        (["--load-format", "runai_streamer_sharded"], "those with a counterpart"),
        (["--safetensors-load-strategy", "torchao"], "eager, lazy, prefetch"),
        (["--safetensors-prefetch-num-threads", "0"], "1 or more"),
        (["--model-loader-extra-config", '{"concurrency": 16}'], "for --load-format auto has no 'concurrency'"),
        (["--load-format", "dummy", "--model-loader-extra-config", '{"a": 1}'], "it takes none"),
        (["--model-loader-extra-config", "tensorizer"], "give a JSON object"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_do(words: list[str], why: str, make_plan: MakePlan) -> None:
    with pytest.raises(Refused) as caught:
        make_plan("serve", "m", *words)
    assert why in str(caught.value)


def test_every_format_has_a_choice_of_sglangs_and_the_keys_of_its_loader() -> None:
    choices = load("sglang").by_spelling["--load-format"].choices
    assert set(LOAD_FORMAT.values()) <= set(choices)
    assert set(LOAD_FORMAT) <= set(LOADER_KEYS)


def test_another_list_of_what_is_not_downloaded_is_said(make_plan: MakePlan) -> None:
    made = make_plan("serve", "m", "--ignore-patterns", "*.bin")
    assert any("may download more" in line for line in made.warnings)
    assert not make_plan("serve", "m", "--ignore-patterns", "original/**/*").warnings
    assert json.dumps(made.to_json())
