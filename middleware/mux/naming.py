"""Which model a request is for: its body's `model`, its form's, `?model=`, or the path's /upstream/MODEL.
Called by `middleware.mux.front` before anything is queued; what it reads of a body is read once more by the model's own
application.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from email.message import Message as MailMessage
from urllib.parse import parse_qs

import msgspec
from starlette.types import Scope

from middleware.aside import aside
from middleware.errors import bad_request
from middleware.fields.kinds import BOOL
from middleware.fields.names import no_such_model
from middleware.headers import header
from middleware.repair.guards import not_an_object, too_deep

UPSTREAM = "/upstream/"
JSON = "application/json"
FORM = "multipart/form-data"
MODEL = "model"
# A part's head beyond this is nobody's field `model`.
LONGEST_HEAD = 4096
_FIELD = re.compile(rb'(?i)content-disposition:[^\r\n]*\bname="?model"?(?:;|\r\n|$)')


class _Body(msgspec.Struct):
    """Everything else is skipped without an object being made of it."""

    model: msgspec.Raw = msgspec.Raw(b"null")
    stream: msgspec.Raw = msgspec.Raw(b"false")
    background: msgspec.Raw = msgspec.Raw(b"false")
    previous_response_id: msgspec.Raw = msgspec.Raw(b"null")


_READER = msgspec.json.Decoder(_Body)


@dataclass(frozen=True, slots=True)
class Asked:
    name: str | None
    streams: bool = False
    # Of /v1/responses.
    background: bool = False
    previous: str | None = None


class Naming:
    """naming = Naming(names, default, adapter_of)
    member = naming.member(asked.name)    # or Refused: vLLM's 404, or a 400 that names the models
    """

    __slots__ = ("_adapter_of", "_default", "_first", "_members")

    def __init__(
        self, members: Iterable[tuple[str, Iterable[str]]], default: str, adapter_of: Callable[[str], str | None]
    ) -> None:
        self._members = {name: first for first, names in members for name in names}
        self._first = tuple(dict.fromkeys(self._members.values()))
        self._default = self._members[default] if default else self._first[0] if len(self._first) == 1 else None
        self._adapter_of = adapter_of  # the member that has loaded an adapter of this name

    @property
    def default(self) -> str | None:
        return self._default

    def member(self, name: str | None) -> str:
        if not name:
            if self._default is None:
                raise bad_request(f"The request names no model. Give one of: {', '.join(self._first)}.", MODEL)
            return self._default
        found = self._members.get(name) or self._adapter_of(name)
        if found is None:
            raise no_such_model(name, tuple(self._members))
        return found

    def of_path(self, path: str) -> tuple[str, str]:
        """`/upstream/MODEL/REST`: the member, and /REST. A name may hold slashes: the longest that fits."""
        rest = path.removeprefix(UPSTREAM)
        fits = [name for name in self._members if rest == name or rest.startswith(f"{name}/")]
        if not fits:
            raise no_such_model(rest.partition("/")[0], tuple(self._members))
        longest = max(fits, key=len)
        return self._members[longest], rest.removeprefix(longest) or "/"


def in_query(scope: Scope) -> str | None:
    query: bytes = scope["query_string"]
    if not query:
        return None
    return next(iter(parse_qs(query.decode("latin-1")).get(MODEL, ())), None)


async def in_body(scope: Scope, body: bytes) -> Asked:
    """A name that is no text is for the model's own application to refuse; it is none here."""
    given = (header(scope["headers"], b"content-type") or b"").decode("latin-1")
    kind = given.partition(";")[0].strip().lower()
    if kind == JSON and body:
        return await aside(len(body), lambda: _of_json(body))
    if kind == FORM:
        return Asked(await aside(len(body), lambda: _of_form(body, given)))
    return Asked(None)


def _of_json(body: bytes) -> Asked:
    try:
        read = _READER.decode(body)
        name, background, previous = map(msgspec.json.decode, (read.model, read.background, read.previous_response_id))
    except (msgspec.DecodeError, UnicodeDecodeError) as failure:
        raise not_an_object(body) from failure
    except RecursionError as failure:
        raise too_deep() from failure
    return Asked(_text(name), bytes(read.stream) == b"true", BOOL.read(background, "", []) is True, _text(previous))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _of_form(body: bytes, content_type: str) -> str | None:
    """The first part called `model`; its file may stand before it, so the whole form is here."""
    words = MailMessage()
    words["content-type"] = content_type
    boundary = words.get_param("boundary")
    if not isinstance(boundary, str) or not boundary:
        return None
    line = b"--" + boundary.encode("latin-1", "replace")
    at = body.find(line)
    while at >= 0:
        begin = at + len(line)
        end_of_head = body.find(b"\r\n\r\n", begin, begin + LONGEST_HEAD)
        at = body.find(b"\r\n" + line, begin)
        if end_of_head >= 0 and _FIELD.search(body, begin, end_of_head + 2):
            text = body[end_of_head + 4 : at if at >= 0 else len(body)]
            return text.decode("utf-8", "replace").strip() or None
        at += 2 if at >= 0 else 0
    return None
