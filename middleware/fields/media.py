"""Where a request names images, videos and sounds; each of them must be allowed, or the request is 400.
Repairs of the tables: a body that names none is searched for the names as bytes, and not decoded.
"""

import functools
import re
from collections.abc import Callable
from typing import Any

from middleware.errors import bad_request
from middleware.fields.draft import Draft
from middleware.fields.messages import MESSAGES
from middleware.fields.record import Repair
from middleware.media import FILE, REMOTE, no_url, require_allowed

URL_KEYS = frozenset({"image_url", "video_url", "audio_url"})
# A model's calls of tools are data in which a URL is a word like any other.
DATA_KEYS = frozenset({"tool_calls", "tools", "function_call"})
# How these keys end in bytes. Plain searches: one regular expression took 5 times as long.
_CONTENT = b'_url"'
# A key may be written with escapes: those of letters and underscores are looked for too.
_ESCAPE = b"\\u00"
_ESCAPED_ASCII = re.compile(rb"\\u00[2-7]")

# SGLang's own fields. A bare string in them is base64, or a path: "proc/self/environ" is both.
KINDS = {"image_data": "image/jpeg", "video_data": "video/mp4", "audio_data": "audio/wav"}
# One class and nothing behind it: with two that overlap, 60 KB of blanks took twelve seconds of every stream's time.
_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]+")
# Names for the caches, which all clients share.
_NAMES = frozenset({"content_hash", "hash"})
# What holds the medium in an object that stands for one; the empty kind is the field's.
_SOURCE_KINDS = {
    "image": KINDS["image_data"],
    "video": KINDS["video_data"],
    "audio": KINDS["audio_data"],
    "url": "",
    "path": "",
}


def in_content(*names: str) -> Repair:
    """Fields that hold messages or parts of them."""

    def repair(draft: Draft) -> None:
        for name in names:
            if _may_name(draft, name):
                _look_through(draft.value(name), draft.policy.local_media_path)

    return repair


def in_data(draft: Draft) -> None:
    """SGLang's image_data, video_data and audio_data at the top of a body."""
    for name, kind in KINDS.items():
        if name in draft.fields:
            _rewrite(draft, name, functools.partial(_settled, kind=kind, folder=draft.policy.local_media_path))


def in_images(draft: Draft) -> None:
    """The images beside the text of a decision: URLs, base64, or objects with a URL."""
    if "images" in draft.fields:
        folder = draft.policy.local_media_path
        _rewrite(draft, "images", functools.partial(_settled, kind=KINDS["image_data"], folder=folder))


def in_vertex(draft: Draft) -> None:
    """Vertex AI's requests: instances, and parameters that become fields of /generate."""
    for name in ("instances", "parameters"):
        if name in draft.fields:
            _rewrite(draft, name, functools.partial(_in_objects, folder=draft.policy.local_media_path))


def _may_name(draft: Draft, name: str) -> bool:
    raw = draft.fields.get(name)
    if raw is None or (name == MESSAGES and draft.texts is not None):
        return False
    text = bytes(raw)
    return _CONTENT in text or (_ESCAPE in text and _ESCAPED_ASCII.search(text) is not None)


def _look_through(value: Any, folder: str) -> None:
    """Without recursion: the depth is the client's to choose."""
    waiting = [value]
    while waiting:
        current = waiting.pop()
        if isinstance(current, list):
            waiting += current
        elif isinstance(current, dict):
            for key, nested in current.items():
                if key in URL_KEYS:
                    _require(nested.get("url") if isinstance(nested, dict) else nested, folder)
                elif key not in DATA_KEYS:
                    waiting.append(nested)


def _require(url: Any, folder: str) -> None:
    if isinstance(url, str) and url:
        require_allowed(url, folder)


def _rewrite(draft: Draft, name: str, settle: Callable[[Any], Any]) -> None:
    value = draft.value(name)
    settled = settle(value)
    if settled != value:
        draft.replace(name, settled)


def _in_objects(value: Any, folder: str) -> Any:
    if isinstance(value, list):
        return [_in_objects(item, folder) for item in value]
    if isinstance(value, dict):
        return {key: _settled(item, KINDS[key], folder) if key in KINDS else item for key, item in value.items()}
    return value


def _settled(value: Any, kind: str, folder: str) -> Any:
    """The same with every bare base64 as a data URL: the same to SGLang, which takes no data URL for a path."""
    if isinstance(value, str):
        return _settled_string(value, kind, folder)
    if isinstance(value, list):
        return [_settled(item, kind, folder) for item in value]
    if isinstance(value, dict):
        if value.get("format") is not None:
            raise bad_request("Media must come as they are: what is processed already may be of any size and name.")
        return {key: _settled_member(key, item, kind, folder) for key, item in value.items() if key not in _NAMES}
    return value


def _settled_member(key: str, value: Any, kind: str, folder: str) -> Any:
    if key in _SOURCE_KINDS:
        return _settled(value, _SOURCE_KINDS[key] or kind, folder)
    if isinstance(value, str) and "/" in value:  # Whatever else it may be, it is no path.
        require_allowed(value, folder)
    return value


def _settled_string(value: str, kind: str, folder: str) -> str:
    if not value:
        return value
    if value.startswith((*REMOTE, FILE)):
        require_allowed(value, folder)
        return value
    if not _BASE64.fullmatch(value):
        raise no_url()
    return f"data:{kind};base64,{value}"
