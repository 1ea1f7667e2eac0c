"""What counts as a secret, and what stands in its place. The report, the log and the preview all ask here."""

from __future__ import annotations

import re
from collections.abc import Sequence

REDACTED = "<redacted>"
# Whole words, so that --tokenizer and --max-num-batched-tokens are no secrets.
_SECRET = re.compile(r"(?:^|[-_])(?:key|token|secret|password|passwd|credential)s?(?:$|[-_])", re.IGNORECASE)
_NOT_SECRET = re.compile(r"key-?file|tokens|keyfile|token-(?:threshold|id|budget|usage)|per-token", re.IGNORECASE)


def is_secret(name: str) -> bool:
    """Whether a flag or variable of this name holds a secret, as far as its name tells."""
    plain = name.lstrip("-").replace("_", "-")
    return bool(_SECRET.search(plain)) and not _NOT_SECRET.search(plain)


def redacted(argv: Sequence[str]) -> list[str]:
    """The same arguments with the values of secret flags replaced; a secret flag's values go on to the next flag."""
    out: list[str] = []
    hiding = False
    for token in argv:
        if token.startswith("-"):
            name, equals, _ = token.partition("=")
            # A unique prefix of a secret flag (`--api-k`) is accepted by the parser, so it hides too.
            hiding = is_secret(name) or any(full.startswith(name.replace("_", "-")) for full in _SECRET_FLAGS)
            out.append(f"{name}={REDACTED}" if equals and hiding else token)
        else:
            out.append(REDACTED if hiding else token)
    return out


_SECRET_FLAGS = ("--api-key", "--hf-token", "--admin-api-key", "--ssl-keyfile-password")
