"""`make run MODEL=org/name TP=8 DRY=1`: the command that would run the image on the host's GPUs."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent


def dry(*variables: str, env: Mapping[str, str] | None = None) -> list[str]:
    found = subprocess.run(
        ["make", "--silent", "run", "DRY=1", *variables],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, **(env or {})},
    )
    return shlex.split(found.stdout)


def test_the_model_and_its_flags_come_behind_the_image() -> None:
    words = dry(
        "MODEL=org/name", "TP=8", "ARGS=--max-model-len 32K --served-model-name 'a b'", "PORT=9000", "IMAGE=mine:1"
    )
    served = words[words.index("mine:1") + 1 :]
    assert served == [
        *("org/name", "--tensor-parallel-size", "8", "--max-model-len", "32K"),
        *("--served-model-name", "a b", "--port", "9000"),
    ]


def test_gpus_shared_memory_and_the_cache_are_given_to_the_container() -> None:
    words = dry("MODEL=org/name", "TP=8", env={"HF_HOME": "/hf"})
    assert "/dev/kfd" in words or "all" in words or "nvidia.com/gpu=all" in words
    assert words[words.index("--ipc") + 1] == "host"
    assert "/hf:/root/.cache/huggingface" in words


def test_a_token_goes_by_name_and_a_folder_is_mounted_where_it_is() -> None:
    words = dry("MODEL=/data/m", env={"HF_TOKEN": "s3cret"})
    assert words[words.index("HF_TOKEN") - 1] == "--env"
    assert not any("s3cret" in word for word in words)
    assert "/data/m:/data/m:ro" in words


def test_models_files_are_mounted_where_they_are_and_given_behind_the_image(tmp_path: Path) -> None:
    file = tmp_path / "models.yaml"
    file.write_text("models: []\n")
    words = dry(f"MODELS={file}", "IMAGE=mine:1", "ARGS=--seed 1")
    assert words[words.index("mine:1") + 1 :] == ["--shim-models", str(file), "--seed", "1", "--port", "8000"]
    assert f"{file}:{file}:ro" in words
