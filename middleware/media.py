"""Which images, videos and sounds a request may name: HTTP and data URLs, and files below --allowed-local-media-path.
Asked by `middleware.fields.media`; SGLang 0.5.23 itself opens any file that its user can read.

An address is judged as it is written. A name that resolves to this machine, and a redirect to it, are not seen here:
where clients are not trusted, --allowed-media-domains names the hosts that SGLang may ask, redirects included.
"""

import ipaddress
import re
import socket
import unicodedata
from pathlib import Path
from urllib.parse import unquote, urlparse

from middleware.errors import SHOWN_CHARACTERS, Refused, bad_request

# In this writing alone: SGLang takes `HTTP://host/etc/passwd` for the path of a video.
WEB = ("http://", "https://")
REMOTE = (*WEB, "data:")
FILE = "file://"
# Of a URL of the web, whose readers agree about what is written so and about nothing else: urllib3 under SGLang takes
# %31 for a 1, and others take a full-width digit for one.
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^@:%\[\]]+)(?::[0-9]*)?")
_ESCAPED = re.compile(r"[%\s\x00-\x20\x7f]")
_IGNORED_IN_NAMES = re.compile(r"[^\w.:-]")
_LOCAL = frozenset({"localhost", "localhost4", "localhost6", "ip6-localhost", "ip6-loopback"})


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
    # Readers of URLs disagree about which side of a backslash the host is.
    if "\\" in authority:
        raise _own_address()
    host = authority.rpartition("@")[2]
    read = _HOST.fullmatch(host)
    if _ESCAPED.search(host) is not None or authority.count("@") > 1:
        raise _no_host()
    if read is None:
        raise no_url()
    if _is_loopback(_plain(read[1])):
        raise _own_address()


def _plain(host: str) -> str:
    """As it is looked up: in small letters, without brackets, and with whatever a name's standard form folds folded."""
    name = host.strip("[]")
    if not name.isascii():
        name = _IGNORED_IN_NAMES.sub("", unicodedata.normalize("NFKC", name).replace("\u3002", "."))
    return name.rstrip(".").casefold()


def _is_loopback(host: str) -> bool:
    """By its writing alone, in any form that a resolver takes: localhost, 127.1, 0x7f000001, ::ffff:127.0.0.1."""
    if host in _LOCAL or host.endswith((".localhost", ".localdomain", ".localdomain4", ".localdomain6")):
        return True
    try:
        address: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.IPv4Address(socket.inet_aton(host))
    except (OSError, ValueError):
        try:
            address = ipaddress.IPv6Address(host)
        except ValueError:
            return False
        address = address.ipv4_mapped or address
    return address.is_loopback or address.is_unspecified


def _own_address() -> Refused:
    return bad_request("The URL must not be one of this server's own addresses.")


def _no_host() -> Refused:
    return bad_request("The URL's host must be written plainly, without escapes and blanks.")


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
