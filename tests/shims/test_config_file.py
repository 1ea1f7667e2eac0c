"""`--config FILE.yaml`, with vLLM's precedence."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shims import cli, config_file, plan
from shims.exceptions import CommandLineError, ShimError
from shims.facts import Facts

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
        ("a: [", "not valid YAML, line 1, column 5: "),
        ("!!python/object:os.system x", "not valid YAML"),
        ("port: http", "--port"),
    ],
)
def test_a_file_that_is_no_such_file_is_one_sentence(config: Path, text: str, message: str) -> None:
    config.write_text(text)
    with pytest.raises(CommandLineError, match=message) as caught:
        cli.parse(["m", "--config", str(config)])
    assert "\n" not in str(caught.value)


SECRET = "sk-SECRET"


@pytest.mark.parametrize(
    "text",
    [
        f"api-key: '{SECRET}\nport: 1\n",
        f"api-key: *{SECRET}",
        f"api-key: !{SECRET} x",
        f"api-key: !<{SECRET}> x",
        f"api-key: !!bool {SECRET}",
        f"{{api-key:{SECRET}}}",
        f"api-key:{SECRET}",
        f'"api-key={SECRET}": 1',
        f"? [api-key, {SECRET}]\n: 1",
        f"hf-overrides: {{api-key: {SECRET}, a: 2020-01-01}}",
    ],
)
def test_an_error_does_not_repeat_what_the_file_holds(config: Path, text: str) -> None:
    config.write_text(text)
    with pytest.raises(CommandLineError) as caught:
        cli.parse(["m", "--config", str(config)])
    assert SECRET not in str(caught.value)


LAUGHS = "a0: &a0 [lol, lol]\n" + "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 20))
MERGES = "m0: &m0 {a: 1, b: 2}\n" + "\n".join(
    f"m{n}: &m{n}\n  <<: [{', '.join([f'*m{n - 1}'] * 9)}]" for n in range(1, 20)
)

MANY = f"m: &m {{{', '.join(f'k{n}: 1' for n in range(5000))}}}\nn: {{<<: [{'*m, ' * 20000}]}}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hf-overrides: {a: 2020-01-01}", "hf-overrides holds what JSON has no word for"),
        ("hf-overrides: {2020-01-01: 1}", "hf-overrides holds what JSON has no word for"),
        ("hf-overrides: {b: !!binary aGk=}", "hf-overrides holds what JSON has no word for"),
        ("lora-modules: [{a: !!set {b}}]", "lora-modules holds what JSON has no word for"),
        ("revision: !!binary aGk=", "revision holds what JSON has no word for"),
        ("hf-overrides: &a {b: *a}", "a part of itself"),
        ("lora-modules: [&a {b: *a}]", "a part of itself"),
        ("served-model-name: &x [*x]", "a part of itself"),
        (f"hf-overrides: {'{a: ' * 150}1{'}' * 150}", "levels deep"),
        (f"hf-overrides: {'{a: ' * 3000}1{'}' * 3000}", "not YAML that can be read"),
        (LAUGHS, "aliases"),
        (MERGES, "not YAML that can be read"),
        (MANY, "not YAML that can be read"),
        ("seed: !!bool maybe", "line 1, column 7: a value that does not fit its tag"),
        ("seed: !!timestamp maybe", "a value that does not fit its tag"),
        ("seed: !!float", "a value that does not fit its tag"),
        ("seed: !!int ''", "a value that does not fit its tag"),
        ("seed: 1" + ":0" * 300 + ".5", "a value that does not fit its tag"),
        (f"seed: 0x{'f' * 6000}", "a number that is too large"),
        (f"seed: {'9' * 6000}", "a value that does not fit its tag"),
        ("a: 1\n---\nb: 1", "several YAML documents"),
        ("1: 2", "no name of a flag"),
        ("--port: 80", "no name of a flag"),
        ("config: other.yaml", "a file cannot name another one"),
        ("con_fig: other.yaml", "--con-fig"),
        ("config.a: other.yaml", "a file cannot name another one"),
        ('served-model-name: "a\\0b"', "--served-model-name: its value holds a NUL"),
        ('response-role: "\\ud800"', "--response-role: its value is not UTF-8"),
    ],
)
def test_a_value_that_cannot_be_a_flags_is_one_sentence(config: Path, text: str, message: str) -> None:
    config.write_text(text)
    with pytest.raises(ShimError, match=message) as caught:
        plan.make(cli.parse(["m", "--config", str(config)]), {}, Facts())
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)


def test_aliases_merges_and_dates_of_a_normal_size_are_read(config: Path) -> None:
    config.write_text("x: &x {a: 1}\nhf-overrides: {<<: *x, b: *x}\nrevision: 2020-01-01\n")
    assert config_file.flags(str(config)) == [
        *("--x", '{"a": 1}', "--hf-overrides", '{"a": 1, "b": {"a": 1}}', "--revision", "2020-01-01")
    ]


@pytest.mark.parametrize("words", [["--config.a", "x.yaml"], ["--config.a+=x.yaml"]])
def test_a_file_that_would_not_be_read_is_not_reported_as_read(words: list[str]) -> None:
    with pytest.raises(CommandLineError, match="write --config FILE once"):
        cli.parse(["m", *words])


def test_a_fifo_or_a_folder_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.yaml")
    (tmp_path / "folder.yaml").mkdir()
    for name, reason in (("fifo", "it is no file"), ("folder", "it is a folder")):
        with pytest.raises(CommandLineError, match=reason):
            cli.parse(["m", "--config", f"{tmp_path}/{name}.yaml"])


def test_a_file_that_is_too_large_or_no_text_is_refused(config: Path) -> None:
    config.write_text("#" * config_file.LARGEST + "\n")
    with pytest.raises(CommandLineError, match="larger than 1 MB"):
        cli.parse(["m", "--config", str(config)])
    config.write_bytes(b"a: \xff")
    with pytest.raises(CommandLineError, match="a character of it is not UTF-8"):
        cli.parse(["m", "--config", str(config)])


TAGS = (
    "bool",
    "int",
    "float",
    "timestamp",
    "binary",
    "null",
    "str",
    "set",
    "omap",
    "pairs",
    "seq",
    "map",
    "merge",
    "x",
)
SCALARS = st.sampled_from(["", "a", "1", "0x1f", "1:2.5", "2020-01-01", "~", "<<", "=", "*a", "'", "[", "@", "%", "."])
PIECES = st.one_of(
    SCALARS,
    st.text(max_size=5),
    st.sampled_from([f"!!{tag} " for tag in TAGS]),
    st.sampled_from(
        ["&a ", "*a", "? ", ": ", "- ", "\n", "\n  ", "{", "}", "[", "]", ", ", "---\n", "<<: ", "| ", "> "]
    ),
    st.sampled_from(["port: ", "hf-overrides: ", "lora-modules: ", "enforce-eager: ", "config: ", "seed: "]),
)
TEXTS = st.lists(PIECES, max_size=12).map("".join)
VALUES = st.recursive(
    st.tuples(st.sampled_from(["", *(f"!!{tag} " for tag in TAGS)]), SCALARS).map("".join),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda i: f"[{', '.join(i)}]")
        | st.lists(st.tuples(inner, inner), max_size=3).map(lambda i: "{" + ", ".join(f"{k}: {v}" for k, v in i) + "}")
    ),
    max_leaves=6,
)


@settings(max_examples=150)
@given(TEXTS | VALUES.map("hf-overrides: {}".format) | VALUES.map("hf-overrides: &a {{b: {}}}".format))
def test_any_text_is_flags_or_one_sentence(text: str) -> None:
    with contextlib.suppress(CommandLineError):
        assert all(isinstance(word, str) for word in config_file.flags("any.yaml", lambda _: text))
