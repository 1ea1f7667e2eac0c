"""What is no JSON object is refused here, in vLLM's words: SGLang 0.5.23 answers 500 to an array.
Called by `middleware.proxy` before a body is read and by `fields.edit` when one cannot be decoded.
"""

import json
import math

from starlette.responses import JSONResponse

from middleware.errors import SCHEMA_TYPE, Refused, bad_request, error
from middleware.fields.kinds import schema_error, shown
from middleware.headers import Headers, header

# Beyond this the exact place of a mistake is not worth stopping every stream on the event loop for.
DIAGNOSED_BYTES = 1024 * 1024

_NO_JSON = "1 validation error:\n  Unsupported Media Type: Only 'application/json' is allowed"


def require_json(headers: Headers) -> None:
    media_type = (header(headers, b"content-type") or b"").partition(b";")[0]
    if media_type.strip().lower() != b"application/json":
        raise Refused(error(400, _NO_JSON, kind=SCHEMA_TYPE))


def too_large(limit: int) -> Refused:
    return Refused(error(413, f"The request's body is larger than {limit} bytes."))


def too_slow(seconds: float) -> Refused:
    """The connection cannot be used again: what is still to come of the body would be taken for a request."""
    message = f"The request's body did not arrive: nothing came for {seconds:g} s."
    return Refused(error(408, message, headers={"connection": "close"}))


def too_deep() -> Refused:
    return _invalid_json(0, "Nested too deeply")


def not_an_object(body: bytes) -> Refused:
    """Finds out what is wrong with a body that could not be decoded as an object."""
    if not body:
        return _missing()
    if len(body) > DIAGNOSED_BYTES:
        return _invalid_json(0, "Not a valid JSON object")
    try:
        value = json.loads(body)
    except UnicodeDecodeError:
        return Refused(JSONResponse({"detail": "There was an error parsing the body"}, 400))
    except json.JSONDecodeError as exc:
        return _invalid_json(exc.pos, exc.msg)
    except RecursionError:
        return too_deep()
    except ValueError:  # A number of thousands of digits, which Python refuses to read.
        return _invalid_json(0, "Not a valid JSON object")
    if value is None:
        return _missing()
    if not isinstance(value, dict):
        msg = "Input should be a valid dictionary or object to extract fields from"
        return _told("model_attributes_type", "body", msg, shown(value))
    for name, number in value.items():
        if isinstance(number, float) and not math.isfinite(number):
            return bad_request(
                f"{name} must be a finite number, got {number}. (parameter={name}, value={number})", name
            )
    if _has_half_a_character(value):
        return bad_request("A text of the request holds half of a character: a surrogate without the other one.")
    # Python's reader takes more than JSON allows: NaN further down, half a surrogate pair, other encodings.
    return _invalid_json(0, "Not valid JSON in UTF-8")


def _has_half_a_character(value: object) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    except (ValueError, RecursionError):
        return False
    return False


def _missing() -> Refused:
    return _told("missing", "body", "Field required", "None")


def _invalid_json(position: int, why: str) -> Refused:
    return _told("json_invalid", f"body.{position}", "JSON decode error", "<dict of 0 items>", ctx={"error": why})


def _told(kind: str, loc: str, msg: str, given: str, **more: object) -> Refused:
    return schema_error([{"type": kind, "loc": loc, "msg": msg, "input": given, **more}])
