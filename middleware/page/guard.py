"""Who may ask the page's port: a browser that shows this very page. Other sites' pages reach loopback through it too.
Around `middleware.page.app`, before anything is looked at.
"""

from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from middleware.errors import error
from middleware.headers import Headers, header

# Another name that leads here is another site's: its pages would be of one origin with ours (DNS rebinding).
HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
NAMES = "localhost, 127.0.0.1 or [::1]"
OURS = frozenset({b"same-origin", b"none"})  # none: a person typed it
GIVEN = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class Guard:
    """An ASGI callable."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(GIVEN)
            await send(message)

        why = refusal(scope["method"], scope["headers"])
        await (error(403, why) if why else self._app)(scope, receive, dressed)


def refusal(method: str, headers: Headers) -> str:
    """Empty: it may."""
    host = (header(headers, b"host") or b"").decode("latin-1")
    if _hostname(host) not in HOSTS:
        return f"The page is not served under the name {host!r:.80}: open it as {NAMES}."
    site = header(headers, b"sec-fetch-site")
    follows = method == "GET" and header(headers, b"sec-fetch-mode") == b"navigate"
    if site is not None and site not in OURS and not follows:
        return "The page answers its own requests, and none of another site."
    if method in {"GET", "HEAD"}:
        return ""
    origin = (header(headers, b"origin") or b"").decode("latin-1")
    # A browser says where an order comes from; a program has the API for it.
    if origin.partition("://")[2] != host:
        return "Orders are taken from this page alone: for a program there is POST /models/NAME/load of the API."
    return ""


def _hostname(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None
