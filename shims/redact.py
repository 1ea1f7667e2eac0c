"""What counts as a secret, and what stands in its place. The report, the log, the preview and the errors ask here."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from shims.catalog import catalogs

REDACTED = "<redacted>"
# Whole words, so that --tokenizer and --max-num-batched-tokens are no secrets.
_SECRET = re.compile(r"(?:^|[-_])(?:key|token|secret|password|passwd|pass|auth|credential)s?(?:$|[-_])", re.IGNORECASE)
_NOT_SECRET = re.compile(r"key-?file$|tokens$|tokens-|token-(?:threshold|id|budget|usage)|per-token", re.IGNORECASE)
_USER_OF_A_URL = re.compile(r"://[^/@\s]*@")
# A unique prefix of one of these (`--api-k`) is accepted by the parser, so it hides its values too.
_SECRET_FLAGS = ("--api-key", "--hf-token", "--admin-api-key", "--ssl-keyfile-password")


def is_secret(name: str) -> bool:
    """Whether a flag or variable of this name holds a secret, as far as its name tells."""
    plain = name.lstrip("-").replace("_", "-")
    return bool(_SECRET.search(plain)) and not _NOT_SECRET.search(plain)


def shown(name: str, value: str) -> str:
    """A value as a person may see it: not a secret's, and of a URL not the user and password."""
    return REDACTED if is_secret(name) else _USER_OF_A_URL.sub(f"://{REDACTED}@", value)


def redacted(argv: Sequence[str]) -> list[str]:
    """The same arguments without secrets; the values of a secret flag go on to the next flag that is known."""
    return [REDACTED if hidden else text for text, _, hidden in _parts(argv)]


def scrubbed(message: str, argv: Sequence[str]) -> str:
    """An error of the parser, which repeats what it could not place."""
    for _, secret, hidden in _parts(argv):
        if secret and (hidden or secret in message):
            message = re.sub(rf"(?<!\S){re.escape(secret)}(?!\S)", REDACTED, message)
    return message


def _parts(argv: Sequence[str]) -> Iterator[tuple[str, str, bool]]:
    """For each argument: how it is shown, the secret in it, and whether all of it is one."""
    hiding = False
    for token in argv:
        name, equals, value = token.partition("=")
        plain = "--" + name[2:].replace("_", "-") if name.startswith("--") else name
        known = any(plain in catalog.by_spelling for catalog in catalogs())
        if token.startswith("-") and (known or not hiding or is_secret(plain)):
            hiding = is_secret(plain) or any(len(plain) > 2 and full.startswith(plain) for full in _SECRET_FLAGS)
            if equals and hiding:
                yield f"{name}={REDACTED}", value, False
            else:
                yield _USER_OF_A_URL.sub(f"://{REDACTED}@", token), "", False
        elif hiding:
            yield token, token, True
        else:
            yield _USER_OF_A_URL.sub(f"://{REDACTED}@", token), "", False
