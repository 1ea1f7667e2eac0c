"""The fields of a small JSON request, read one by one; what is wrong with them is told all at once, as pydantic does.
Used by the endpoints that make their own calls to SGLang; large requests have tables in `middleware.fields`.
"""

from functools import partial
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request

from middleware.aside import aside
from middleware.errors import bad_request
from middleware.fields.draft import CONTAINERS
from middleware.fields.kinds import BOOL, INT, LIST, STR, Errors, bounded, one_of, schema_error, wrong
from middleware.intake import BODY_LIMIT, whole_body
from middleware.policy import Policy
from middleware.repair.guards import not_an_object, require_json, too_deep

T = TypeVar("T")

_WHOLE = msgspec.json.Decoder(dict[str, Any])
_TOP = msgspec.json.Decoder(dict[str, msgspec.Raw])


async def json_body(request: Request, policy: Policy) -> bytes:
    """What is sent as JSON, or Refused in vLLM's words."""
    headers = request.scope["headers"]
    require_json(headers)
    return await whole_body(request.receive, headers, policy.max_request_body_bytes or BODY_LIMIT)


async def json_object(request: Request, policy: Policy) -> dict[str, Any]:
    """The same, decoded."""
    body = await json_body(request, policy)
    return await aside(len(body), partial(decoded, body))


def decoded(body: bytes) -> dict[str, Any]:
    if len(body) > CONTAINERS and body.count(b"[") + body.count(b"{") > CONTAINERS:
        raise bad_request(f"The request is made of more than {CONTAINERS} lists and objects.")
    return _decoded(_WHOLE, body)


def top_level(body: bytes) -> dict[str, msgspec.Raw]:
    """Its values as they came, for whoever only tells requests apart."""
    return _decoded(_TOP, body)


def _decoded(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    try:
        return decoder.decode(body)
    except RecursionError as failure:
        raise too_deep() from failure
    except (msgspec.DecodeError, UnicodeDecodeError) as failure:
        raise not_an_object(body) from failure


class Form:
    """form = Form(body)
    name = form.text("lora_name")
    size = form.integer("top_n", 0, least=0)
    form.done()                                  # Refused, if anything was wrong
    """

    __slots__ = ("_wrong", "body")

    def __init__(self, body: dict[str, Any]) -> None:
        self.body = body
        self._wrong: Errors = []

    def missing(self, name: str) -> None:
        self.wrong("missing", name, "Field required", self.body)

    def wrong(self, kind: str, loc: str, msg: str, value: object, **ctx: object) -> None:
        wrong(self._wrong, kind, _body(loc), msg, value, **ctx)

    def done(self) -> None:
        if self._wrong:
            raise schema_error(self._wrong)

    def text(self, name: str) -> str:
        if name not in self.body:
            self.missing(name)
            return ""
        value = STR.read(self.body[name], _body(name), self._wrong)
        return value if isinstance(value, str) else ""

    def optional_text(self, name: str) -> str | None:
        return None if self.body.get(name) is None else self.text(name)

    def flag(self, name: str, default: bool, *, null: bool = False) -> bool:
        value = self.body.get(name, default)
        if value is None and null:
            return default
        taken = BOOL.read(value, _body(name), self._wrong)
        return taken if isinstance(taken, bool) else default

    def integer(self, name: str, default: int, *, least: int | None = None) -> int:
        number = self.as_integer(name, self.body.get(name, default), least=least)
        return default if number is None else number

    def as_integer(self, loc: str, value: object, *, least: int | None = None) -> int | None:
        """What pydantic takes for an int: 5, 5.0, "5" and true."""
        known = len(self._wrong)
        taken = bounded(INT, ge=least).read(value, _body(loc), self._wrong)
        return None if len(self._wrong) > known else int(taken)

    def items(self, name: str) -> list[Any] | None:
        """A list of anything; None where there is no list."""
        if name not in self.body:
            self.missing(name)
            return None
        value = LIST.read(self.body[name], _body(name), self._wrong)
        return value if isinstance(value, list) else None

    def choice(self, name: str, default: str, choices: tuple[str, ...]) -> str:
        value = self.body.get(name, default)
        one_of(*choices).read(value, _body(name), self._wrong)
        return value if value in choices else default


def _body(loc: str) -> str:
    return f"body.{loc}" if loc else "body"
