"""What counts as a secret, and what stands in its place. The report, the log, the preview and the errors ask here."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from shims.catalog import catalogs, nearest
from shims.values import nested

REDACTED = "<redacted>"
# Words of a name, so that --tokenizer is none; what has no other meaning counts inside a word too, as in `apikey`.
_SECRET = re.compile(
    r"api-?key|secret|passw(?:or)?d|passphrase|credential|otlp-(?:\w+-)*headers$"
    r"|(?:^|-)(?:key|token|pass|auth|authorization)s?(?:$|-)",
    re.IGNORECASE,
)
# Files, numbers of tokens and the special tokens of a vocabulary. A bare `tokens` may well be a list of secrets.
_NOT_SECRET = re.compile(
    r"key-?file$|token-(?:threshold|ids?|budget|usage|map)(?:$|-)|per-token|forward-pass"
    r"|(?:^|-)(?:max|min|num|total|prompt|generation|request|iteration|spec|full|reserved|return)(?:-\w+)*-tokens(?:$|-)"
    r"|(?:^|-)(?:bos|eos|pad|unk|sep|cls|mask|image|video|audio)-token$",
    re.IGNORECASE,
)
# As far as the last `@`: a password may hold one, and a slash too where no port can be meant.
_USER_OF_A_URL = re.compile(r"://(?:[^/\s]{0,2000}@|[^/\s@:]{1,2000}:(?!\d+(?:/|$))[^\s\"']{0,2000}@)")
_ENTRY = re.compile(
    r"""(?P<head>(?:\\?["'](?P<quoted>[\w. -]{1,80})\\?["']|(?<=[{,])\s*(?P<bare>[\w.-]{1,80}))\s*:\s*)"""
    r"""(?P<value>\\?"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|\[[^\]]*\]?|\{[^}]*\}?|[^\s,}\]"']+)"""
)
_PAIR = re.compile(r"""(?<![\w.-])(?P<head>(?P<name>-{0,2}[A-Za-z_][\w.-]*)=)(?P<value>[^\s&;,"'}\]]+)""")
_NOTHING = ("null", "true", "false", "None", "True", "False", REDACTED)
# A unique prefix of one of these (`--api-k`) is accepted by the parser, so it hides its values too.
_SECRET_FLAGS = ("--api-key", "--hf-token", "--admin-api-key", "--ssl-keyfile-password")


def is_secret(name: str) -> bool:
    """Whether a flag, a variable or a key of this name holds a secret, as far as its name tells. A flag that nobody
    has is a known one misspelled."""
    if not name.startswith("--"):
        return _sounds_secret(name)
    plain = "--" + name[2:].replace("_", "-")
    known = next((c.by_spelling[plain] for c in reversed(catalogs()) if plain in c.by_spelling), None)
    if known is not None:
        return known.arity != "switch" and known.type == "str" and _sounds_secret(plain)
    return _sounds_secret(plain) or _sounds_secret(nearest(plain) or "")


def _sounds_secret(name: str) -> bool:
    plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[_. ]+", "-", name.lstrip("-"))
    return bool(_SECRET.search(plain)) and not _NOT_SECRET.search(plain)


def shown(name: str, value: str) -> str:
    """A value as a person may see it."""
    return REDACTED if value and is_secret(name) else cleaned(value)


def cleaned(text: str) -> str:
    """Any text without the secrets inside it: users and passwords of URLs, and what a secret's name holds in JSON,
    whole or in pieces, or after an equals sign."""
    if text.lstrip()[:1] in ("{", "["):
        try:
            document = nested.loads(text)
        except ValueError:
            pass
        else:
            clean = _document(document)
            # As it was written where nothing is hidden; of a key that is there twice only the last was looked at.
            text = text if clean == document else json.dumps(clean, ensure_ascii=False, separators=(",", ":"))
    text = _USER_OF_A_URL.sub(f"://{REDACTED}@", text)
    text = _ENTRY.sub(lambda m: _hidden(m, m["quoted"] or m["bare"], f'"{REDACTED}"'), text)
    return _PAIR.sub(lambda m: _hidden(m, m["name"], REDACTED), text)


def _hidden(found: re.Match[str], name: str, instead: str) -> str:
    value = found["value"]
    return found["head"] + instead if value.strip("\\\"'") not in ("", *_NOTHING) and is_secret(name) else found[0]


def _document(value: Any) -> Any:
    if isinstance(value, dict):
        empty = ("", None, True, False)
        return {k: REDACTED if v not in empty and is_secret(k) else _document(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_document(one) for one in value]
    return cleaned(value) if isinstance(value, str) else value


def redacted(argv: Sequence[str]) -> list[str]:
    """The same arguments without secrets; the values of a secret flag go on to the next flag that is known."""
    return [REDACTED if hidden else text for text, _, hidden in _parts(argv)]


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
        if token.startswith("-") and (known or not hiding or _sounds_secret(plain)):
            hiding = is_secret(plain) or any(len(plain) > 2 and full.startswith(plain) for full in _SECRET_FLAGS)
            if equals and hiding:
                yield f"{name}={REDACTED}", value, False
            else:
                yield (f"{name}={cleaned(value)}" if equals else cleaned(token)), "", False
        elif hiding:
            yield token, token, True
        else:
            yield cleaned(token), "", False
