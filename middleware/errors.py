"""vLLM's error bodies: the shape is vLLM 0.33.0's, recorded from a real server.
Called by everything that answers a client without SGLang; `Refused` carries such an answer up the call stack.
"""

import json
from collections.abc import Mapping

from starlette.responses import JSONResponse, Response

# By status, as vLLM names them where it raises by itself.
TYPES = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    408: "RequestTimeoutError",
    409: "ConflictError",
    413: "RequestEntityTooLargeError",
    422: "UnprocessableEntityError",
    429: "RateLimitError",
    500: "InternalServerError",
    501: "NotImplementedError",
    502: "BadGatewayError",
    503: "ServiceUnavailableError",
    504: "GatewayTimeoutError",
}
# What vLLM says of a request that does not fit its schema has the status's own words for a type.
SCHEMA_TYPE = "Bad Request"
# Of what a client sent, in what it is told about it.
SHOWN_CHARACTERS = 100


class Refused(Exception):
    """The request is answered here and not forwarded. `rule` says why in the counts, where the status does not."""

    def __init__(self, response: Response, rule: str = "") -> None:
        super().__init__(response.status_code)
        self.response = response
        self.rule = rule

    @property
    def sentence(self) -> str:
        """Of one in vLLM's shape."""
        return str(json.loads(bytes(self.response.body))["error"]["message"])


def error_body(status: int, message: str, *, param: str | None = None, kind: str | None = None) -> dict[str, object]:
    return {"error": {"message": message, "type": kind or type_of(status), "param": param, "code": status}}


def type_of(status: int) -> str:
    return TYPES.get(status) or TYPES[500 if status >= 500 else 400]


def error(
    status: int,
    message: str,
    *,
    param: str | None = None,
    kind: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    return JSONResponse(error_body(status, message, param=param, kind=kind), status, headers)


def unavailable(message: str, retry_after: int) -> Response:
    return error(503, message, headers={"retry-after": str(retry_after)})


def bad_request(message: str, param: str | None = None) -> Refused:
    """A request that is well formed and cannot be served as it asks."""
    return Refused(error(400, message, param=param))


def bad_value(message: str, param: str, value: object = None) -> Refused:
    """The same of one field, as vLLM's VLLMValidationError puts it."""
    extras = f"parameter={param}" if value is None else f"parameter={param}, value={str(value)[:SHOWN_CHARACTERS]}"
    return bad_request(f"{message} ({extras})", param)


def not_found() -> Response:
    return JSONResponse({"detail": "Not Found"}, 404)


def method_not_allowed(allowed: tuple[str, ...]) -> Response:
    return JSONResponse({"detail": "Method Not Allowed"}, 405, {"allow": ", ".join(allowed)})


def unauthorized() -> Response:
    return JSONResponse({"error": "Unauthorized"}, 401)


def stream_end(status: int, message: str) -> bytes:
    """How a stream of events ends that cannot go on: vLLM sends the error as an event, and then its last line."""
    event = json.dumps(error_body(status, message), separators=(",", ":"))
    return f"data: {event}\n\ndata: [DONE]\n\n".encode()
