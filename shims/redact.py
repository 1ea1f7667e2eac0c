"""What counts as a secret, and what stands in its place. The report, the log, the preview and the errors ask here."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from middleware import secrecy
from middleware.secrecy import REDACTED, sounds_secret
from shims.catalog import catalogs, nearest

# A unique prefix of one of these (`--api-k`) is accepted by the parser, so it hides its values too.
_SECRET_FLAGS = ("--api-key", "--hf-token", "--admin-api-key", "--ssl-keyfile-password")


def is_secret(name: str) -> bool:
    """Whether a flag, a variable or a key of this name holds a secret, as far as its name tells. A flag that nobody
    has is a known one misspelled."""
    if not name.startswith("--"):
        return sounds_secret(name)
    plain = "--" + name[2:].replace("_", "-")
    known = next((c.by_spelling[plain] for c in reversed(catalogs()) if plain in c.by_spelling), None)
    if known is not None:
        return known.arity != "switch" and known.type == "str" and sounds_secret(plain)
    return sounds_secret(plain) or sounds_secret(nearest(plain) or "")


def shown(name: str, value: str) -> str:
    """A value as a person may see it."""
    return REDACTED if value and is_secret(name) else cleaned(value)


def cleaned(text: str) -> str:
    """Any text without the secrets inside it; the names in it may be flags."""
    return secrecy.cleaned(text, is_secret)


def redacted(argv: Sequence[str]) -> list[str]:
    """The same arguments without secrets; the values of a secret flag go on to the next flag that is known."""
    return [REDACTED if hidden else text for text, _, hidden in _parts(argv)]


def without_secrets(argv: Sequence[str]) -> list[str]:
    """The same arguments without the flags that hold a secret, for a file."""
    kept: list[str] = []
    for token, (_, secret, hidden) in zip(argv, _parts(argv), strict=True):
        if hidden and kept and kept[-1].startswith("-"):
            kept.pop()
        elif not hidden and not secret:
            kept.append(token)
    return kept


def scrubbed(message: str, argv: Sequence[str]) -> str:
    """An error of the parser, which repeats what it could not place."""
    for _, secret, hidden in _parts(argv):
        if secret and (hidden or secret in message):
            message = re.sub(rf"(?<!\S){re.escape(secret)}(?!\S)", REDACTED, message)
    return cleaned(message)


def _parts(argv: Sequence[str]) -> Iterator[tuple[str, str, bool]]:
    """For each argument: how it is shown, the secret in it, and whether all of it is one."""
    hiding = False
    for token in argv:
        name, equals, value = token.partition("=")
        plain = "--" + name[2:].replace("_", "-") if name.startswith("--") else name
        known = any(plain in catalog.by_spelling for catalog in catalogs())
        if token.startswith("-") and (known or not hiding or sounds_secret(plain)):
            hiding = is_secret(plain) or any(len(plain) > 2 and full.startswith(plain) for full in _SECRET_FLAGS)
            if equals and hiding:
                yield f"{name}={REDACTED}", value, False
            else:
                yield (f"{name}={cleaned(value)}" if equals else cleaned(token)), "", False
        elif hiding:
            yield token, token, True
        else:
            yield cleaned(token), "", False
