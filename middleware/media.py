"""Which images, videos and sounds a request may name: HTTP and data URLs, and files below --allowed-local-media-path.
Asked by `middleware.fields.media`; SGLang 0.5.23 itself opens any file that its user can read.
"""

import ipaddress
import socket
from pathlib import Path
from urllib.parse import unquote, urlparse

from middleware.errors import SHOWN_CHARACTERS, Refused, bad_request

# In this writing alone: SGLang takes `HTTP://host/etc/passwd` for the path of a video.
WEB = ("http://", "https://")
REMOTE = (*WEB, "data:")
FILE = "file://"


def require_allowed(url: str, folder: str) -> None:
    """Refuses in vLLM's words; a file that vLLM would answer 500 for is the client's mistake, too."""
    if url.startswith(WEB):
        _require_elsewhere(url)
        return
    if url.startswith(REMOTE):
        return
    if not url.startswith(FILE):
        raise no_url()
    if not folder:
        raise bad_request("Cannot load local files without `--allowed-local-media-path`.")
    # SGLang's parts read a file URL in two ways: as a URL, and as whatever stands behind file://.
    try:
        as_url = unquote(urlparse(url).path)
    except ValueError:
        raise no_url() from None
    for path in (as_url, url.removeprefix(FILE)):
        if not _is_below(path, folder):
            shown = path[:SHOWN_CHARACTERS]
            raise bad_request(f"The file path {shown} must be a subpath of `--allowed-local-media-path`.")


def _require_elsewhere(url: str) -> None:
    """SGLang's own port listens on loopback without a key, and some of what a GET does there is an operator's."""
    authority = url.partition("://")[2].partition("/")[0].partition("?")[0].partition("#")[0]
    try:
        host = urlparse(url).hostname or ""
    except ValueError:
        raise no_url() from None
    # Readers of URLs disagree about which side of a backslash the host is.
    if "\\" in authority or _is_loopback(host.rstrip(".").lower()):
        raise bad_request("The URL must not be one of this server's own addresses.")


def _is_loopback(host: str) -> bool:
    """By its writing alone, in any form that a resolver takes: localhost, 127.1, 0x7f000001, ::ffff:127.0.0.1."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.IPv4Address(socket.inet_aton(host))
    except (OSError, ValueError):
        try:
            address = ipaddress.IPv6Address(host.partition("%")[0])
        except ValueError:
            return False
        address = address.ipv4_mapped or address
    return address.is_loopback or address.is_unspecified


def no_url() -> Refused:
    return bad_request("The URL must be either a HTTP, data or file URL.")


def _is_below(path: str, folder: str) -> bool:
    """After links and dots are resolved; a path that is relative, or that cannot be resolved, is not."""
    if not path.startswith("/"):
        return False
    try:
        return Path(folder).resolve() in Path(path).resolve().parents
    except (OSError, RuntimeError, ValueError):  # Too long, a loop of links, a null in it.
        return False
