"""What is written into supervisord.conf and haproxy.cfg, so that every byte of an argument arrives: the quoting
of each file, with the faults of its reader. `render_config` gives these to its templates.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence

from shims.exceptions import StartError

UNWRITABLE = r"""[\r\n\0\ud800-\udfff]|\s[;#]|^['"]|['"]$|".*'|'.*\""""


def ini(value: object) -> str:
    """A bare value of supervisord.conf: `%` starts an expansion, ` ;` a comment."""
    text = str(value)
    # supervisor 4.3.0 expands stdout_logfile twice, so that no number of percent signs is right.
    if re.search(r"[%\r\n\0]|\s[;#]", text):
        raise StartError(
            f"{text!r} cannot be written to supervisord.conf: use a path without %, line breaks, ` ;` or ` #`"
        )
    return text


def ini_command(argv: Sequence[str]) -> str:
    """One `command=` line that supervisord splits into exactly these arguments.

    supervisor 4.3.0 cuts a value at a `;` or `#` behind any white space, even inside quotes, and replaces `%(here)s`
    even where the percent sign is doubled: the quote is closed and opened again in the middle of both.
    """
    if bad := [argument for argument in argv if re.search(r"[\r\n\0\ud800-\udfff]", argument)]:
        raise StartError(f"{bad[0]!r:.80} cannot be written to supervisord.conf: it holds a line break or is not UTF-8")
    line = " ".join(shlex.quote(argument) for argument in argv).replace("%", "%%")
    return re.sub(r"(\s)([;#])", r"\1''\2", line).replace("%(here)s", "%''(here)s")


def ini_environment(values: Mapping[str, str]) -> str:
    """One `environment=` line. supervisord has no escape inside the quotes, takes quotes of both kinds off the ends,
    and ends a value at a comment: a value with both kinds of quotes, or with one at its end, cannot be written."""
    bad = next((name for name, value in values.items() if re.search(UNWRITABLE, value)), None)
    if bad:
        raise StartError(f"the value of {bad} cannot be written to supervisord.conf: it holds quotes or a line break")
    pairs = ((name, value, "'" if '"' in value else '"') for name, value in values.items())
    return ",".join(f"{name}={quote}{value}{quote}" for name, value, quote in pairs).replace("%", "%%")


def haproxy_word(value: object) -> str:
    """A word of haproxy.cfg in strong quotes, where nothing is expanded."""
    return "'" + str(value).replace("'", "'\\''") + "'"


def error_body(code: int, kind: str, message: str) -> str:
    """vLLM's error shape as one quoted word of haproxy.cfg."""
    error = {"message": message, "type": kind, "param": None, "code": code}
    return haproxy_word(json.dumps({"error": error}, separators=(",", ":")))
