"""Who may call: vLLM's API keys, compared in constant time.
Asked by `middleware.front` before all else, so that without a key even a path's existence stays hidden.
"""

import hashlib
import hmac
from collections.abc import Sequence

from middleware.headers import Headers, header
from middleware.route import Access, Route

# vLLM 0.33.0 guards whatever begins so, known or not.
GUARDED = ("/v1", "/v2", "/inference", "/cohere")
# Of paths that are not vLLM's, where OPTIONS is asked for a key as well.
ANY_METHOD = "*"


class Keys:
    """keys = Keys(["sk-1", "sk-2"])
    keys = Keys([])                   # an open server: whatever `Authorization` says is ignored
    """

    __slots__ = ("_digests",)

    def __init__(self, keys: Sequence[str]) -> None:
        # Digests have one length, so that a comparison tells nothing about a key's.
        self._digests = [_digest(key.encode()) for key in keys]

    def allow(self, method: str, path: str, route: Route | None, headers: Headers) -> bool:
        if not self._digests or method == "OPTIONS":
            return True
        guarded = path.startswith(GUARDED) or (route is not None and route.access is Access.KEY)
        return not guarded or self._known(header(headers, b"authorization"))

    def _known(self, authorization: bytes | None) -> bool:
        scheme, _, key = (authorization or b"").partition(b" ")
        if scheme.lower() != b"bearer":
            return False
        given = _digest(key)
        known = False
        for digest in self._digests:
            # No early end: the time must not tell which key it was.
            known |= hmac.compare_digest(given, digest)
        return known


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
