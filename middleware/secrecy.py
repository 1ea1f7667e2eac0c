"""What sounds like a secret, and any text without what does. Reports, logs, previews and answers ask here; what the
shims know of flags besides is in `shims.redact`. Standard library only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

REDACTED = "<redacted>"
# Words of a name, so that --tokenizer is none; what has no other meaning counts inside a word too, as in `apikey`.
_SECRET = re.compile(
    r"api-?key|secret|passw(?:or)?d|passphrase|credential|otlp-(?:\w+-)*headers$"
    r"|(?:^|-)(?:key|token|pass|auth|authorization|sig|signature)s?(?:$|-)",
    re.IGNORECASE,
)
# Files, numbers of tokens and the special tokens of a vocabulary. A bare `tokens` may well be a list of secrets.
_NOT_SECRET = re.compile(
    r"key-?file$|^routing-key$|token-(?:threshold|ids?|budget|usage|map)(?:$|-)|per-token|forward-pass"
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


def sounds_secret(name: str) -> bool:
    """Whether a variable or a key of this name holds a secret, as far as its name tells."""
    plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[_. ]+", "-", name.lstrip("-"))
    return bool(_SECRET.search(plain)) and not _NOT_SECRET.search(plain)


def cleaned(text: str, is_secret: Callable[[str], bool] = sounds_secret) -> str:
    """Any text without the secrets inside it: users and passwords of URLs, and what a secret's name holds in JSON,
    whole or in pieces, or after an equals sign."""
    if text.lstrip()[:1] in ("{", "["):
        try:
            document = json.loads(text)
            clean = hidden(document, is_secret)
            # As it was written where nothing is hidden; of a key that is there twice only the last was looked at.
            text = text if clean == document else json.dumps(clean, ensure_ascii=False, separators=(",", ":"))
        except (ValueError, RecursionError):
            pass  # No JSON, or deeper than anybody's: as text.
    text = _USER_OF_A_URL.sub(f"://{REDACTED}@", text)
    text = _ENTRY.sub(lambda m: _hidden(m, m["quoted"] or m["bare"], f'"{REDACTED}"', is_secret), text)
    return _PAIR.sub(lambda m: _hidden(m, m["name"], REDACTED, is_secret), text)


def _hidden(found: re.Match[str], name: str, instead: str, is_secret: Callable[[str], bool]) -> str:
    value = found["value"]
    return found["head"] + instead if value.strip("\\\"'") not in ("", *_NOTHING) and is_secret(name) else found[0]


def hidden(value: Any, is_secret: Callable[[str], bool] = sounds_secret) -> Any:
    """A JSON value without the secrets in it."""
    if isinstance(value, dict):
        empty = ("", None, True, False)
        return {k: REDACTED if v not in empty and is_secret(k) else hidden(v, is_secret) for k, v in value.items()}
    if isinstance(value, list):
        return [hidden(one, is_secret) for one in value]
    return cleaned(value, is_secret) if isinstance(value, str) else value
