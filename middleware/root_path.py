"""--root-path: the prefix that a proxy in front may leave on a path, taken off before anything looks at it.
Called by `middleware.front` for every request; keys, routes and SGLang see the path that remains.
"""

from urllib.parse import quote, unquote_to_bytes

from starlette.types import Scope


def without_root(scope: Scope, root: str) -> Scope:
    """The same scope if there is nothing to take off: vLLM (Starlette) serves a path with and without the prefix."""
    path: str = scope["path"]
    if not root or not path.startswith(root):
        return scope
    rest = path[len(root) :]
    if rest and not rest.startswith("/"):
        return scope
    return {**scope, "path": rest, "raw_path": _raw_rest(scope["raw_path"], root, rest)}


def _raw_rest(raw: bytes, root: str, rest: str) -> bytes:
    """What remains as the client wrote it, whose prefix may be written with escapes that `root` does not have."""
    wanted = root.encode()
    if raw.startswith(wanted):
        return raw[len(wanted) :]
    for end in range(len(wanted), len(raw) + 1):
        if unquote_to_bytes(raw[:end]) == wanted:
            return raw[end:]
    return quote(rest).encode()
