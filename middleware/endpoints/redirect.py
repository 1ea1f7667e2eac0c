"""A path with one slash too many: vLLM's framework answers 307 with the address it should have been.
Called by `middleware.app` where the table has the path without the slash.
"""

import re

from starlette.responses import Response
from starlette.types import Scope

from middleware.headers import header

# What a proxy in front may say of its side; anything else would be an address of the client's choice.
SCHEMES = frozenset({b"http", b"https"})
SLASHES = re.compile(rb"(?:/|%2f)+$", re.IGNORECASE)


def without_slash(scope: Scope) -> Response:
    headers = scope["headers"]
    host = header(headers, b"host") or b"localhost"
    forwarded = header(headers, b"x-forwarded-proto")
    scheme = forwarded if forwarded in SCHEMES else b"http"
    path = SLASHES.sub(b"", scope["raw_path"])
    query: bytes = scope["query_string"]
    location = b"%b://%b%b" % (scheme, host, path) + (b"?" + query if query else b"")
    return Response(status_code=307, headers={"location": location.decode("latin-1")})
