"""What is hidden from logs, reports and previews."""

from __future__ import annotations

import pytest

from shims.redact import REDACTED, is_secret, redacted


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
    ],
)
def test_the_values_of_secret_flags_are_replaced(words: list[str], shown: list[str]) -> None:
    assert redacted(words) == shown
