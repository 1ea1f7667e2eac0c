"""vLLM's grammar."""

from __future__ import annotations

from typing import Any

import pytest

from shims import cli
from shims.exceptions import CommandLineError


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["m/x", "--tensor-parallel-size", "8"], id="model first"),
        pytest.param(["--tensor-parallel-size", "8", "m/x"], id="flag before the model"),
        pytest.param(["--tensor_parallel_size=8", "m/x"], id="underscores and equals"),
        pytest.param(["-tp", "8", "m/x"], id="short flag"),
        pytest.param(["-tp=8", "m/x"], id="short flag with equals"),
        pytest.param(["--tensor-parallel", "8", "m/x"], id="unique prefix"),
        pytest.param(["--tensor-parallel-size", "4", "m/x", "-tp", "8"], id="the last one wins"),
    ],
)
def test_every_spelling_of_a_flag_is_the_same_flag(words: list[str]) -> None:
    command = cli.parse(words)
    assert command.positional == "m/x"
    assert command.last("--tensor-parallel-size") == 8


@pytest.mark.parametrize(
    ("words", "flag", "value"),
    [
        (["--enable-prefix-caching"], "--enable-prefix-caching", True),
        (["--no-enable-prefix-caching"], "--enable-prefix-caching", False),
        (["--disable-prefix-caching"], "--enable-prefix-caching", False),
        (["--no-enforce-eager"], "--enforce-eager", False),
        (["--max-model-len", "32k"], "--max-model-len", 32_000),
        (["--max-model-len", "32K"], "--max-model-len", 32_768),
        (["--max-model-len", "1.5M"], "--max-model-len", None),
        (["--max-model-len", "1.5m"], "--max-model-len", 1_500_000),
        (["--max-model-len", "-1"], "--max-model-len", -1),
        (["--max-model-len", "auto"], "--max-model-len", -1),
        (["m", "--served-model-name", "a", "b"], "--served-model-name", ["a", "b"]),
        (["--max-num-seq", "4"], "--max-num-seqs", 4),
        (["--kv-transfer-config", '{"a": [1, "x y"]}'], "--kv-transfer-config", {"a": [1, "x y"]}),
        (["--chat-template", "- {{ messages }}"], "--chat-template", "- {{ messages }}"),
        (["--chat-template={{ a b }}"], "--chat-template", "{{ a b }}"),
        (['--kv-transfer-config={"a": "b c"}', "m"], "--kv-transfer-config", {"a": "b c"}),
        (["--revision=-x"], "--revision", "-x"),
    ],
)
def test_values_are_read_as_vllm_reads_them(words: list[str], flag: str, value: Any) -> None:
    if value is None:
        with pytest.raises(CommandLineError, match=flag):
            cli.parse(words)
    else:
        assert cli.parse(words).last(flag) == value


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["m", "--port", "http"], "--port"),
        (["m", "--kv-transfer-config", "{x"], "not valid JSON"),
        (["m", "--dtype", "int8"], "choose from auto, bfloat16"),
        (["m", "--max-num"], "ambiguous option: --max-num could match"),
        (["m", "n"], "unrecognized arguments: n"),
        (["m", "--tensor-parallel-size"], "expected one argument"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(words: list[str], message: str) -> None:
    with pytest.raises(CommandLineError, match=message) as caught:
        cli.parse(words)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "words",
    [["m", "--api-key=a", "sk-SECRET"], ["m", "n", "--api-key=sk-SECRET"], ["m", "--hf-token", "a", "sk-SECRET"]],
)
def test_an_error_does_not_repeat_a_secret(words: list[str]) -> None:
    with pytest.raises(CommandLineError) as caught:
        cli.parse(words)
    assert "sk-SECRET" not in str(caught.value)


@pytest.mark.parametrize("words", [["bench", "throughput"], ["chat"], ["run-batch", "-i", "x"], ["--port", "1"]])
def test_other_subcommands_of_vllm_end_with_a_sentence(words: list[str]) -> None:
    with pytest.raises(CommandLineError, match="knows only `vllm serve"):
        cli.from_words(words)


def test_sglang_flags_have_no_prefixes() -> None:
    given = cli.parse(["m", "--mem-fraction-static", "0.5", "--mem-fraction", "0.5", "--mem_fraction_static", "0.5"])
    assert [g.origin for g in given.given] == ["sglang", "unknown", "sglang"]
