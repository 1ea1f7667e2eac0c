"""vLLM's spellings, one by one. That they mean the same Plan in any mixture is `test_spellings`."""

from __future__ import annotations

from typing import Any

import pytest

from shims import cli, plan
from shims.exceptions import CommandLineError, Refused, ShimError
from shims.facts import Facts
from shims.grammar import canonical, canonical_argv


@pytest.mark.parametrize(
    ("words", "flag", "value"),
    [
        (["-O3"], "--optimization-level", "3"),
        (["-O=2"], "--optimization-level", "2"),
        (["-O", "1"], "--optimization-level", "1"),
        (["-O", '{"level": 3}'], "--compilation-config", {"level": 3}),
        (["-O.level=3"], "--compilation-config", {"level": 3}),
        (["-cc.level", "3"], "--compilation-config", {"level": 3}),
        (["-qfp8"], "--quantization", "fp8"),
        (["-q=fp8"], "--quantization", "fp8"),
        (["-n2"], "--nnodes", 2),
        (["-asc", "4"], "--api-server-count", 4),
    ],
)
def test_short_flags_and_levels(words: list[str], flag: str, value: Any) -> None:
    assert cli.parse(["m", *words]).last(flag) == value


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (["--speculative-config.method", "ngram"], {"method": "ngram"}),
        (["--speculative_config.num_speculative_tokens=3"], {"num_speculative_tokens": 3}),
        (["--speculative-config.a.b", "1", "--speculative-config.a.c", "x"], {"a": {"b": 1, "c": "x"}}),
        (["--speculative-config.size", "2K"], {"size": 2048}),
        (["--speculative-config.on", "true"], {"on": True}),
        (["--speculative-config.of+", "a", "--speculative-config.of+=b,c"], {"of": ["a", "b", "c"]}),
        (["--speculative-config.of", "[1]", "--speculative-config.of", "[2]"], {"of": [1, 2]}),
        (["--speculative-config.a", "1", "--speculative-config.a", "2"], {"a": 2}),
        (["-sc.method", "ngram"], {"method": "ngram"}),
        (["--speculative-con.method", "ngram"], {"method": "ngram"}),
        # Dotted keys come last, whatever the order: they win over a whole value and are not merged with it.
        (["--speculative-config.a", "1", "--speculative-config", '{"b": 2}'], {"a": 1}),
        # Two names of one flag are two values in vLLM, and the last one wins.
        (["-sc.a", "1", "--speculative-config.b", "2"], {"b": 2}),
    ],
)
def test_dotted_keys_are_one_json_value(words: list[str], value: Any) -> None:
    assert cli.parse(["m", *words]).last("--speculative-config") == value


def test_a_number_or_a_path_is_no_dotted_key() -> None:
    assert canonical_argv(["--x", "-0.5", "./a.b", "--model=/a.b/c"]) == ["--x", "-0.5", "./a.b", "--model=/a.b/c"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--speculative-config.method"], "expected one argument"),
        (["--speculative-config..a", "1"], "a key between its dots is empty"),
        (["--data-parallel", "2"], "ambiguous option: --data-parallel could match --data-parallel-"),
        (["--he"], "ambiguous option: --he could match --help, --headless"),
        (["-d", "2"], "ambiguous option: -d could match"),
        (["--enable-prefix-caching=true"], "ignored explicit argument 'true'"),
    ],
)
def test_what_vllm_would_not_take_is_refused_in_a_sentence(words: list[str], message: str) -> None:
    with pytest.raises(CommandLineError, match=message):
        cli.parse(["m", *words])


@pytest.mark.parametrize(
    ("token", "full"),
    [
        ("--max_model_len", "--max-model-len"),
        ("--max-model=32", "--max-model-len=32"),
        ("--disable-prefix-caching", "--disable-prefix-caching"),
        ("--no-enable-prefix", "--no-enable-prefix-caching"),
        ("--mem-fraction-static", "--mem-fraction-static"),
        ("--mem-fraction", "--mem-fraction"),  # a prefix of SGLang's is not one of vLLM's
        ("--preempt", "--preemption-mode"),  # 0.8.5's
        ("--chat-template", "--chat-template"),  # and not --chat-template-content-format
        ("a_b", "a_b"),
        ("-1", "-1"),
        ("-", "-"),
        ("--", "--"),
    ],
)
def test_a_name_becomes_the_full_name(token: str, full: str) -> None:
    assert canonical(token) == full


def test_a_flag_of_an_older_release_never_makes_a_prefix_ambiguous() -> None:
    assert canonical("--num-gpu") == "--num-gpu-blocks-override"
    assert canonical("--swa") == "--swa-bounded-replay"  # 0.8.5 had --swap-space as well


def test_what_vllm_appends_is_one_list() -> None:
    command = cli.parse(["m", "--middleware", "a.B", "--middleware", "c.D"])
    assert command.last("--middleware") == ["a.B", "c.D"]


@pytest.mark.parametrize("text", ["", "None"])
def test_an_optional_flag_can_be_given_as_none(text: str) -> None:
    assert cli.parse(["m", "--revision", text]).last("--revision", "absent") is None


def test_a_model_named_twice_is_the_positional_one() -> None:
    command = cli.parse(["m", "--model", "n"])
    assert (command.positional, command.last("--model")) == ("m", "n")


def test_a_served_name_without_a_model_is_refused_as_by_vllm() -> None:
    with pytest.raises(CommandLineError, match="no model"):
        cli.parse(["--served-model-name", "m"])
    assert cli.parse(["--served-model-name", "m"], "api_server").last("--served-model-name") == ["m"]


DEEP = "[" * 3000 + "]" * 3000
LESS_DEEP = "[" * 500 + "]" * 500


@pytest.mark.parametrize(
    "words",
    [
        ["--hf-overrides.a", DEEP],
        ["--hf-overrides.a", LESS_DEEP],
        ["--hf-overrides" + ".a" * 3000, "1"],
        ["--hf-overrides" + ".a" * 500, "1"],
        ["--hf-overrides", f'{{"a": {DEEP}}}'],
        ["--lora-modules", DEEP],
        ["--lora-modules", LESS_DEEP],
    ],
)
def test_what_is_too_deep_to_work_with_is_one_sentence(words: list[str]) -> None:
    with pytest.raises(ShimError, match="deep") as caught:
        plan.make(cli.parse(["m", "--enable-lora", *words]), {}, Facts())
    assert caught.value.exit_code == 2
    assert len(str(caught.value)) < 300


def test_a_number_of_thousands_of_digits_is_a_text_or_a_sentence() -> None:
    digits = "9" * 5000
    assert cli.parse(["m", "--speculative-config.a", digits]).last("--speculative-config") == {"a": digits}
    for text in (digits, digits[:400] + "k", digits[:400] + ".5k"):
        with pytest.raises(CommandLineError, match="is not a number such as"):
            cli.parse(["m", "--max-model-len", text])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["m\udcff"], "model: its value is not UTF-8"),
        (["m", "--response-role", "a\udcff"], "--response-role: its value is not UTF-8"),
        (["m", "--allowed-local-media-path=/a\udcff"], "--allowed-local-media-path: its value is not UTF-8"),
        (["m", "--api-key", "a", "SECRET\udcff"], "--api-key: its value is not UTF-8"),
        (["m", "--\udcff", "a"], r"--\\udcff: its value is not UTF-8"),
    ],
)
def test_bytes_that_are_no_text_are_refused_by_the_flags_name(words: list[str], message: str) -> None:
    with pytest.raises(Refused, match=message) as caught:
        cli.parse(words)
    assert str(caught.value).isascii()
    assert "SECRET" not in str(caught.value)
