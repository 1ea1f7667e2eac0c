"""What is hidden from logs, reports and previews."""

from __future__ import annotations

import pytest

from middleware.secrecy import REDACTED
from shims.redact import cleaned, is_secret, redacted, scrubbed, shown


@pytest.mark.parametrize(
    "name",
    [
        "--api-key",
        "--api_key",
        "--hf-token",
        "VLLM_API_KEY",
        "HF_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
        "DB_PASSWORD",
        "--ssl-keyfile-password",
        "S3_PASS",
        "API_TOKENS",
        "OTEL_EXPORTER_OTLP_HEADERS",
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
        "s3_secret_access_key",
        "secretAccessKey",
        "apiKey",
        "credentials",
        "--apikey",
        "--hf-tokn",
        "--model-loader-extra-config.s3_secret_access_key",
    ],
)
def test_secrets_are_known_by_their_names(name: str) -> None:
    assert is_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        "--tokenizer",
        "--max-num-batched-tokens",
        "--ssl-keyfile",
        "--max-total-tokens",
        "VLLM_HOST_IP",
        "--skip-tokenizer-init",
        "--no-allow-credentials",
        "--bucket-inter-token-latency",
        "--forward-pass-metrics-ipc-name",
        "--prompt-tokens-buckets",
        "--no-such-flag",
        "max_tokens",
        "maxTokens",
        "num_speculative_tokens",
        "eos_token_id",
        "bos_token",
        "VLLM_MAX_BAD_WORDS_TOTAL_TOKENS",
        "SGLANG_LOG_REQUEST_HEADERS",
        "TOKENIZERS_PARALLELISM",
    ],
)
def test_other_names_are_not(name: str) -> None:
    assert not is_secret(name)


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["--api-key", "a", "b", "--port", "1"], ["--api-key", REDACTED, REDACTED, "--port", "1"]),
        (["--api_key=a"], [f"--api_key={REDACTED}"]),
        (["--api-k", "a", "-tp", "8"], ["--api-k", REDACTED, "-tp", "8"]),
        (["--api-key", "-sk-a", "--sk-b", "--port", "1"], ["--api-key", REDACTED, REDACTED, "--port", "1"]),
        (["--x", "redis://:pw@host/0"], ["--x", f"redis://{REDACTED}@host/0"]),
        (["m", "--unknown-secret", "a"], ["m", "--unknown-secret", REDACTED]),
        (["--apikey", "a", "--port", "1"], ["--apikey", REDACTED, "--port", "1"]),
        (["--apikey=a"], [f"--apikey={REDACTED}"]),
        (["--allow-credentials", "m"], ["--allow-credentials", "m"]),
        (['--x={"password": "a"}'], [f'--x={{"password":"{REDACTED}"}}']),
        (["--x.s3_secret_access_key", "a"], ["--x.s3_secret_access_key", REDACTED]),
    ],
)
def test_the_values_of_secret_flags_are_replaced(words: list[str], shown: list[str]) -> None:
    assert redacted(words) == shown


@pytest.mark.parametrize(
    "text",
    [
        "http://user:S3CR3T@c:4317",
        "http://user:S3@CR3T@c:4317/v1",
        "s3://AKIA:S3/CR3T@bucket/models",
        "redis://S3CR3T@h",
        '{"s3_secret_access_key":"S3CR3T"}',
        '{"a": {"apiKey" : "S3CR3T\\"x"}, "b": [{"token": ["S3CR3T"]}]}',
        '{"credentials": {"a": {"b": 1}, "c": "S3CR3T"}}',
        '{"url": "http://u:S3CR3T@h"}',
        '{"secret": "S3CR3T", "secret": null}',
        '{"secret": "S3CR3T"',
        "{s3_secret_access_key: S3CR3T}",
        "{'password': 'S3CR3T', 'x'",
        '--x \'{"api_key": "S3CR3T"}\' --y',
        '"{\\"api_key\\": \\"S3CR3T\\"}"',
        "https://h/x?a=1&api_key=S3CR3T&b=2",
        "authorization=S3CR3T",
    ],
)
def test_a_secret_inside_a_text_is_hidden(text: str) -> None:
    clean = cleaned(text)
    assert "CR3T" not in clean
    assert REDACTED in clean
    assert cleaned(clean) == clean


@pytest.mark.parametrize(
    "text",
    [
        "http://c:4317/a",
        "https://h/x?max_tokens=5",
        '{"max_tokens": 5,  "eos_token": "</s>", "tokenizer": "t"}',
        '{"token": null, "api_key": ""}',
        "--api-key: the middleware checks keys",
        "--admin-api-key: SGLang's admin routes are closed, as in vLLM",
        "{{ messages[0].content }}",
        "{" * 3000,
        '{"a":' * 3000,
    ],
)
def test_any_other_text_stays_as_it_is(text: str) -> None:
    assert cleaned(text) == text


def test_an_error_that_repeats_a_document_hides_what_is_secret_in_it() -> None:
    words = ["--x", '{"password": "S3CR3T"']
    assert "S3CR3T" not in scrubbed(f"argument --x: {words[1]!r} is not valid JSON", words)


def test_an_empty_value_of_a_secret_is_shown_as_empty() -> None:
    assert shown("HF_TOKEN", "") == ""
