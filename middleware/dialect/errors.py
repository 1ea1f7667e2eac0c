"""SGLang's errors in vLLM's shape, words, type and code; never a file of the server's in them.
Called by `reply` for whole bodies and by the streams for an error in the middle.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from middleware.dialect import sentences, validation
from middleware.dialect.events import END, decode, encode
from middleware.dialect.scrub import scrubbed, scrubbed_all
from middleware.errors import SCHEMA_TYPE, error_body
from middleware.fields.told import Kind, Told

# A larger error is none that a client should read, or we.
LIMIT = 1024 * 1024
# What has no words of its own.
SENTENCES = {404: "Not found.", 500: "Internal server error", 503: "The engine is overloaded. Please retry."}
# Answered by the framework that both are built on, before any handler: the same in vLLM.
_PLAIN = frozenset({401, 404, 405})


def retold(status: int, body: bytes, told: Told) -> tuple[int, bytes]:
    """The status and the body that a vLLM would have sent."""
    given = _decoded(body)
    if told.kind is Kind.NATIVE and given is None:
        return status, encode(error_body(status, _plain(status, body)))
    if told.kind is Kind.NATIVE and not _is_error(given):
        clean = scrubbed_all(given)
        return status, body if clean == given else encode(clean)
    if isinstance(given, dict):
        if status == 422 and (entries := validation.from_details(given.get("detail"))) is not None:
            message, param = entries
            return 400, encode(error_body(400, message, param=param, kind=SCHEMA_TYPE))
        if status in _PLAIN and ("detail" in given or isinstance(given.get("error"), str)):
            return status, body
        message = _message(given)
    else:
        message = ""
    return _told(status, message, told)


def stream_error(given: Any, told: Told | None = None) -> bytes:
    """An event in the middle of a stream; [DONE] follows it from SGLang itself."""
    return b"data: " + retold_error(given, told or Told()) + END


def retold_error(given: Any, told: Told) -> bytes:
    code = given.get("code") if isinstance(given, dict) else None
    status = code if isinstance(code, int) and 400 <= code < 600 else 500
    return _told(status, _message({"error": given}), told)[1]


def message_of(body: bytes) -> str:
    given = _decoded(body)
    return _message(given) if isinstance(given, dict) else ""


def _told(status: int, message: str, told: Told) -> tuple[int, bytes]:
    param, kind = None, None
    if validation.is_dump(message):
        message, param = validation.retold(message)
        kind = SCHEMA_TYPE
    elif (words := sentences.retold(message, told)) is not None:
        message, param, status = words
    else:
        message = scrubbed(message) or SENTENCES.get(status, "The request failed.")
    return status, encode(error_body(status, message, param=param, kind=kind))


def _message(given: Mapping[str, Any]) -> str:
    """Flat as most of SGLang's, under `error` as vLLM's, or FastAPI's `detail`."""
    error = given.get("error")
    if isinstance(error, dict):
        given = error
    elif isinstance(error, str):
        return error
    for name in ("message", "detail"):
        if isinstance(given.get(name), str):
            return str(given[name])
    return ""


def _is_error(given: Any) -> bool:
    """Whether it says nothing but what is wrong: an administrative route's refusal may hold more."""
    return isinstance(given, dict) and (given.get("object") == "error" or "detail" in given or "error" in given)


def _plain(status: int, body: bytes) -> str:
    """Text that is no JSON: of a failure that SGLang did not foresee it is the framework's, and says nothing."""
    words = scrubbed(body.decode(errors="replace")) if status < 500 else ""
    return words or SENTENCES.get(status, "The request failed.")


def _decoded(body: bytes) -> Any:
    try:
        return decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
