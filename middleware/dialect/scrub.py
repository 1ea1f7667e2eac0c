"""What must not be told of the server: tracebacks, and where its files lie.
Used by `errors` and `validation` for every word of SGLang's that goes on to a client.
"""

import re
from typing import Any

# Of one message. SGLang repeats what the client sent, at any length.
LONGEST = 2000
_TRACE = re.compile(r"\s*(?:Traceback \(most recent call last\)|File \"/)")
# xgrammar's: the time, and the line of its source.
_NATIVE_SOURCE = re.compile(r"\[\d\d:\d\d:\d\d\] \S+\.(?:cc|cpp|h|cu):\d+: ")
# Two levels or more, and no path of ours or of an address.
_PATH = re.compile(r"(?<![\w:/.<])(?!/v\d/)/(?:[\w.+@~-]+/)+[\w.+@~-]*")


def scrubbed(message: str) -> str:
    message = message[: LONGEST * 2]
    trace = _TRACE.search(message)
    if trace is not None:
        message = message[: trace.start()]
    message = _PATH.sub("<path>", _NATIVE_SOURCE.sub("", message))
    return message[:LONGEST].strip()


def scrubbed_all(value: Any, depth: int = 0) -> Any:
    """Every string in a JSON document; deeper than any error of SGLang's it is left out."""
    if isinstance(value, str):
        return scrubbed(value)
    if depth > 20:
        return None
    if isinstance(value, list):
        return [scrubbed_all(each, depth + 1) for each in value]
    if isinstance(value, dict):
        return {name: scrubbed_all(each, depth + 1) for name, each in value.items()}
    return value
