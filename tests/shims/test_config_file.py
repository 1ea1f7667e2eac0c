"""`--config FILE.yaml`, with vLLM's precedence."""

from __future__ import annotations

from pathlib import Path

import pytest

from shims import cli
from shims.exceptions import CommandLineError

FILE = """
port: 12323
tensor_parallel_size: 4
enforce-eager: true
enable_prefix_caching: false
served-model-name: [a, b]
lora-modules: [x=/x, {name: y, path: /y}]
speculative-config: {method: ngram, num_speculative_tokens: 3}
compilation-config:
  cudagraph_mode: NONE
revision:
api-key: []
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(FILE)
    return path


def test_the_keys_of_the_file_are_flags(config: Path) -> None:
    command = cli.parse(["m", "--config", str(config)])
    assert command.positional == "m"
    assert command.last("--config") == str(config)
    assert command.last("--port") == 12323
    assert command.last("--tensor-parallel-size") == 4
    assert command.last("--enforce-eager") is True
    assert command.last("--enable-prefix-caching") is False
    assert command.last("--served-model-name") == ["a", "b"]
    assert command.last("--lora-modules") == ["x=/x", '{"name": "y", "path": "/y"}']
    assert command.last("--speculative-config") == {"method": "ngram", "num_speculative_tokens": 3}
    assert command.last("--compilation-config") == {"cudagraph_mode": "NONE"}
    assert command.last("--revision", "absent") is None
    assert command.last("--api-key", "absent") == "absent"


@pytest.mark.parametrize("before", [True, False])
def test_the_command_line_wins_over_the_file_wherever_it_stands(config: Path, before: bool) -> None:
    file, flag = ["--config", str(config)], ["--port", "1234"]
    command = cli.parse(["m", *flag, *file] if before else ["m", *file, *flag])
    assert command.last("--port") == 1234


def test_the_model_may_stand_in_the_file_and_the_positional_one_wins(config: Path) -> None:
    config.write_text("model: from-file\nport: 1234\n")
    assert cli.parse(["--config", str(config)]).last("--model") == "from-file"
    assert cli.parse(["m", "--config", str(config)]).positional == "m"
    assert cli.parse(["--config", str(config)], "api_server").last("--model") == "from-file"


def test_without_any_model_it_is_an_error_as_in_vllm(config: Path) -> None:
    with pytest.raises(CommandLineError, match="no model"):
        cli.parse(["--config", str(config)])


def test_an_empty_file_says_nothing(config: Path) -> None:
    config.write_text("")
    assert [given.name for given in cli.parse(["m", "--config", str(config)]).given] == ["--config"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a", "a mapping of flag names"),
        ("a: [", "not valid YAML: line 1"),
        ("!!python/object:os.system x", "not valid YAML"),
        ("served-model-name: &x [*x]", None),
        ("port: http", "--port"),
    ],
)
def test_a_file_that_is_no_such_file_is_one_sentence(config: Path, text: str, message: str | None) -> None:
    config.write_text(text)
    if message is None:
        cli.parse(["m", "--config", str(config)])
    else:
        with pytest.raises(CommandLineError, match=message):
            cli.parse(["m", "--config", str(config)])


def test_an_error_does_not_repeat_what_the_file_holds(config: Path) -> None:
    config.write_text("api-key: 'sk-SECRET\nport: 1\n")
    with pytest.raises(CommandLineError) as caught:
        cli.parse(["m", "--config", str(config)])
    assert "sk-SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--config"], "expected one argument"),
        (["--config", "/nowhere.yaml"], "No such file"),
        (["--config", "/x.json"], "ends in .yaml or .yml"),
        (["--config=x.yaml"], "two words"),
        (["--config", "a.yaml", "--config", "b.yaml"], "given twice"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_sentence(words: list[str], message: str) -> None:
    with pytest.raises(CommandLineError, match=message):
        cli.parse(["m", *words])
