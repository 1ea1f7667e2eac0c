"""A model's folder, with the tokenizer's configuration of the model that the recordings were made with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from middleware.prompt.files import TokenizerFiles
from middleware.prompt.renderer import Renderer, Rules

TEMPLATES = Path(__file__).parent / "templates"
CONFIG = {
    "bos_token": "<|im_start|>",
    "eos_token": "<|im_end|>",
    "pad_token": "<|im_end|>",
    "unk_token": "<|endoftext|>",
    "tokenizer_class": "TokenizersBackend",
}

MakeFolder = Callable[..., Path]
MakeRenderer = Callable[..., Renderer]


def template(name: str) -> str:
    return (TEMPLATES / f"{name}.jinja").read_text()


@pytest.fixture
def folder(tmp_path: Path) -> MakeFolder:
    """Files by name: a text is written as it is, anything else as JSON."""

    def make(**files: Any) -> Path:
        given = {name.replace("__", "."): content for name, content in files.items()}
        for name, content in {"tokenizer_config.json": CONFIG, **given}.items():
            (tmp_path / name).write_text(content if isinstance(content, str) else json.dumps(content))
        return tmp_path

    return make


@pytest.fixture
def renderer(folder: MakeFolder) -> MakeRenderer:
    def make(source: str, **rules: Any) -> Renderer:
        return Renderer(TokenizerFiles(folder(chat_template__jinja=source)), Rules(**rules))

    return make
