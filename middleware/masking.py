"""Our keys, where a client has written one that does not belong there: no log, file or status repeats it.
Asked by whoever writes down what a client chose (`recent`, `access_log`, `errors_log`, `target`), before it is cut.
"""

import json
import re
from collections.abc import Iterable
from urllib.parse import quote

INSTEAD = "***"
FEW = 2  # characters, which may well be the end of a word


class Mask:
    """mask = Mask(["sk-1"])
    mask.text("/v1/models/sk-1")     # "/v1/models/***"
    mask.data(body, 100)             # of the first 100 bytes; `body` has `mask.longest` more, if there are so many
    """

    __slots__ = ("_data", "_forms", "_text", "longest")

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        # The longest first: one key may be the beginning of another.
        forms = self._forms = sorted({form for key in secrets if key for form in _forms(key)}, key=len, reverse=True)
        self.longest = max((len(form.encode("utf-8", "replace")) for form in forms), default=0)
        self._text = re.compile("|".join(map(re.escape, forms))) if forms else None
        self._data = re.compile(b"|".join(re.escape(form.encode("utf-8", "replace")) for form in forms))

    def finds(self, text: str) -> bool:
        return self._text is not None and self._text.search(text) is not None

    def text(self, text: str) -> str:
        return text if self._text is None else self._text.sub(INSTEAD, text)

    def cut(self, text: str, limit: int) -> str:
        """Of a text that somebody may have cut before: the beginning of a key at its end is hidden too."""
        shown = self.text(text)[:limit]
        for form in self._forms:
            for size in range(len(form) - 1, FEW, -1):
                if shown.endswith(form[:size]):
                    return shown[:-size] + INSTEAD
        return shown

    def data(self, data: bytes, limit: int) -> bytes:
        """A key across the limit is hidden whole: no piece of it is left in front."""
        if self._text is None:
            return data[:limit]
        pieces, at = [], 0
        for found in self._data.finditer(data):
            if found.start() >= limit:
                break
            pieces += [data[at : found.start()], INSTEAD.encode()]
            at = found.end()
        return b"".join((*pieces, data[at:limit]))


def _forms(key: str) -> tuple[str, ...]:
    """As it is, as JSON and a URL spell it, and as a header's bytes are read."""
    in_json = (json.dumps(key)[1:-1], json.dumps(key, ensure_ascii=False)[1:-1])
    in_a_url = (quote(key, errors="replace"), quote(key, safe="", errors="replace"))
    return (key, *in_json, *in_a_url, key.encode("utf-8", "replace").decode("latin-1"))
