"""What SGLang is asked for: the client's path, and of its query what the route has a use for. SGLang logs both.
Called by `middleware.proxy` for each request.
"""

from urllib.parse import quote_from_bytes, unquote_plus, unquote_to_bytes

from starlette.types import Scope

from middleware.fields.told import Told
from middleware.masking import Mask
from middleware.route import Route
from middleware.secrecy import sounds_secret


class Target:
    """target = Target(Mask(keys))
    target.of(scope, route, told)     # b"/v1/responses/1?stream=true"
    """

    __slots__ = ("mask",)

    def __init__(self, mask: Mask) -> None:
        self.mask = mask

    def of(self, scope: Scope, route: Route, told: Told | None) -> bytes:
        """`told`: of a request that is edited, which has all it needs in its body."""
        if told is not None and told.target:
            return told.target
        path: bytes = scope["raw_path"]
        if self.mask.finds(scope["path"]):
            plain = unquote_to_bytes(path)
            path = quote_from_bytes(self.mask.data(plain, len(plain))).encode()
        query: bytes = scope["query_string"]
        if told is not None or not query:
            return path
        kept = b"&".join(pair for pair in query.split(b"&") if self._goes_on(pair, route.query))
        return path + b"?" + kept if kept else path

    def _goes_on(self, pair: bytes, names: frozenset[str] | None) -> bool:
        words = pair.decode("latin-1")
        name = unquote_plus(words.partition("=")[0])
        if names is not None and name not in names:
            return False
        return not sounds_secret(name) and not self.mask.finds(unquote_plus(words)) and not self.mask.finds(words)
