"""Which images, videos and sounds a request may name: HTTP and data URLs, and files below --allowed-local-media-path.
Asked by `middleware.fields.media`; SGLang 0.5.23 itself opens any file that its user can read.
"""

from pathlib import Path
from urllib.parse import unquote, urlparse

from middleware.errors import SHOWN_CHARACTERS, Refused, bad_request

# In this writing alone: SGLang takes `HTTP://host/etc/passwd` for the path of a video.
REMOTE = ("http://", "https://", "data:")
FILE = "file://"


def require_allowed(url: str, folder: str) -> None:
    """Refuses in vLLM's words; a file that vLLM would answer 500 for is the client's mistake, too."""
    if url.startswith(REMOTE):
        return
    if not url.startswith(FILE):
        raise no_url()
    if not folder:
        raise bad_request("Cannot load local files without `--allowed-local-media-path`.")
    # SGLang's parts read a file URL in two ways: as a URL, and as whatever stands behind file://.
    for path in (unquote(urlparse(url).path), url.removeprefix(FILE)):
        if not _is_below(path, folder):
            shown = path[:SHOWN_CHARACTERS]
            raise bad_request(f"The file path {shown} must be a subpath of `--allowed-local-media-path`.")


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
