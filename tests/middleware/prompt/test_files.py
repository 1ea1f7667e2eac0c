"""Which template and which special tokens a model's files name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from middleware.prompt.failures import CannotRender
from middleware.prompt.files import TokenizerFiles
from tests.middleware.prompt.conftest import CONFIG, MakeFolder

NAMED = [{"name": "default", "template": "plain"}, {"name": "tool_use", "template": "with tools"}]


def source(files: TokenizerFiles, with_tools: bool = False) -> str | None:
    template = files.template(with_tools)
    return None if template is None else template.source


def used(files: TokenizerFiles) -> None:
    assert source(files) is not None
    assert isinstance(files.special_tokens, dict)


def test_the_configuration_may_hold_one_template_or_several(folder: MakeFolder) -> None:
    one = TokenizerFiles(folder(tokenizer_config__json={"chat_template": "one"}))
    assert (source(one), source(one, True)) == ("one", "one")
    for value in (NAMED, {"default": "plain", "tool_use": "with tools"}):
        several = TokenizerFiles(folder(tokenizer_config__json={"chat_template": value}))
        assert (source(several), source(several, True)) == ("plain", "with tools")
    nameless = TokenizerFiles(folder(tokenizer_config__json={"chat_template": [{"name": "rag", "template": "r"}]}))
    assert (source(nameless), source(nameless, True)) == (None, None)


def test_files_of_their_own_go_before_the_configuration(folder: MakeFolder) -> None:
    at = folder(tokenizer_config__json={"chat_template": "one"}, chat_template__jinja="file\r\n")
    assert source(TokenizerFiles(at), True) == "file\n"
    (at / "additional_chat_templates").mkdir()
    (at / "additional_chat_templates" / "tool_use.jinja").write_text("tools' file")
    files = TokenizerFiles(at)
    assert (source(files), source(files, True)) == ("file\n", "tools' file")


def test_the_command_lines_template_is_a_file_or_a_text(folder: MakeFolder, tmp_path: Path) -> None:
    at = folder(tokenizer_config__json={"chat_template": NAMED})
    (tmp_path / "mine.jinja").write_text("mine")
    assert source(TokenizerFiles(at, str(tmp_path / "mine.jinja")), True) == "mine"
    named = TokenizerFiles(at).named("tool_use")
    assert named is not None
    assert named.source == "with tools"
    assert source(TokenizerFiles(at, "{{ 1 }}"), True) == "{{ 1 }}"
    with pytest.raises(CannotRender, match="cannot be read"):
        source(TokenizerFiles(at, str(tmp_path / "absent.jinja")))


def test_a_processors_template_is_for_requests_without_tools(folder: MakeFolder) -> None:
    legacy = {"chat_template": "processor"}
    only = TokenizerFiles(folder(tokenizer_config__json={"chat_template": "own"}, chat_template__json=legacy))
    assert source(only) == "own"
    files = TokenizerFiles(folder(tokenizer_config__json={"chat_template": "own"}, preprocessor_config__json={}))
    assert (source(files), source(files, True)) == ("processor", "own")


@pytest.mark.parametrize(
    ("config", "tokens"),
    [
        (CONFIG, {name: text for name, text in CONFIG.items() if name != "tokenizer_class"}),
        ({"bos_token": {"__type": "AddedToken", "content": "<s>"}, "eos_token": None}, {"bos_token": "<s>"}),
        ({"image_token": "<i>", "add_bos_token": True}, {"image_token": "<i>"}),
        ({"extra_special_tokens": {"boi_token": "<b>"}}, {"boi_token": "<b>"}),
        ({"extra_special_tokens": ["<b>"]}, {}),
        (
            {"tokenizer_class": "LlamaTokenizerFast", "eos_token": None},
            {"bos_token": "<s>", "unk_token": "<unk>"},
        ),
    ],
)
def test_special_tokens_have_the_names_that_templates_use(
    folder: MakeFolder, config: dict[str, Any], tokens: dict[str, str]
) -> None:
    assert TokenizerFiles(folder(tokenizer_config__json=config)).special_tokens == tokens


def test_the_old_map_of_special_tokens_counts_where_added_tokens_are_not_listed(folder: MakeFolder) -> None:
    old = {"special_tokens_map__json": {"bos_token": {"content": "<old>"}}}
    assert TokenizerFiles(folder(tokenizer_config__json={}, tokenizer__json={}, **old)).special_tokens == {
        "bos_token": "<old>"
    }
    listed = {"bos_token": "<new>", "added_tokens_decoder": {}}
    assert TokenizerFiles(folder(tokenizer_config__json=listed, **old)).special_tokens == {"bos_token": "<new>"}


@pytest.mark.parametrize(
    "files",
    [
        {"tokenizer_config__json": "no json"},
        {"tokenizer_config__json": "[" * 100_000},
        {"tokenizer_config__json": "[]"},
        {"tokenizer_config__json": {}},
        {"tokenizer_config__json": {"chat_template": 5}},
        {"tokenizer_config__json": {"chat_template": [5]}},
        {"tokenizer_config__json": {"chat_template": [{"name": "default"}]}},
        {"tokenizer_config__json": {"chat_template": "{% if %}"}},
        {"tokenizer_config__json": {"chat_template": "x", "bos_token": 5}},
        {"config__json": "no json"},
        {"config__json": {"architectures": ["GptOssForCausalLM"]}},
        {"tekken__json": "{}", "consolidated__safetensors": ""},
    ],
)
def test_files_that_do_not_say_cannot_be_rendered_from(folder: MakeFolder, files: dict[str, Any]) -> None:
    ours = TokenizerFiles(folder(**files))
    for _ in range(2):
        with pytest.raises(CannotRender):
            used(ours)


def test_a_file_is_read_up_to_a_size(folder: MakeFolder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("middleware.prompt.files.LARGEST", 1000)
    with pytest.raises(CannotRender, match="larger"):
        source(TokenizerFiles(folder(chat_template__jinja="x" * 1001)))
    with pytest.raises(CannotRender, match="cannot be read"):
        source(TokenizerFiles(tmp_path, str(tmp_path)))


def test_another_mode_of_tokenizer_cannot_be_rendered(folder: MakeFolder) -> None:
    with pytest.raises(CannotRender, match="mistral"):
        source(TokenizerFiles(folder(), tokenizer_mode="mistral"))


def test_a_folder_is_asked_for_until_it_is_there(folder: MakeFolder) -> None:
    missing = [True]

    def find() -> Path:
        if missing:
            raise CannotRender("not yet")
        return folder(chat_template__jinja="x")

    files = TokenizerFiles(find)
    with pytest.raises(CannotRender, match="not yet"):
        source(files)
    missing.clear()
    assert source(files) == "x"


def test_special_tokens_are_read_once(folder: MakeFolder) -> None:
    at = folder()
    files = TokenizerFiles(at)
    first = files.special_tokens
    (at / "tokenizer_config.json").write_text(json.dumps({"bos_token": "other"}))
    assert files.special_tokens is first
