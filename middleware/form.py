"""The fields of a small JSON request, read one by one; what is wrong with them is told all at once, as pydantic does.
Used by the endpoints that make their own calls to SGLang; large requests have tables in `middleware.fields`.
"""

from typing import Any

import msgspec
from starlette.requests import Request

from middleware.errors import SHOWN_CHARACTERS, bad_schema
from middleware.intake import BODY_LIMIT, whole_body
from middleware.policy import Policy
from middleware.repair.guards import not_an_object, require_json, too_deep

_DECODER = msgspec.json.Decoder(dict[str, Any])
_TRUE = frozenset({"true", "1", "yes", "on", "t", "y"})
_FALSE = frozenset({"false", "0", "no", "off", "f", "n"})


async def json_object(request: Request, policy: Policy) -> dict[str, Any]:
    """The request's body, or Refused in vLLM's words."""
    headers = request.scope["headers"]
    require_json(headers)
    return decoded(await whole_body(request.receive, headers, policy.max_request_body_bytes or BODY_LIMIT))


def decoded(body: bytes) -> dict[str, Any]:
    try:
        return _DECODER.decode(body)
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
        self._wrong: list[dict[str, object]] = []

    def missing(self, name: str) -> None:
        self.wrong("missing", name, "Field required", self.body)

    def wrong(self, kind: str, loc: str, msg: str, value: object, **ctx: object) -> None:
        detail: dict[str, object] = {
            "type": kind,
            "loc": f"body.{loc}" if loc else "body",
            "msg": msg,
            "input": shown(value),
        }
        self._wrong.append(detail | ({"ctx": ctx} if ctx else {}))

    def done(self) -> None:
        if self._wrong:
            raise bad_schema(*self._wrong)

    def text(self, name: str) -> str:
        if name not in self.body:
            self.missing(name)
            return ""
        value = self.body[name]
        if not isinstance(value, str):
            self.wrong("string_type", name, "Input should be a valid string", value)
            return ""
        return value

    def optional_text(self, name: str) -> str | None:
        return None if self.body.get(name) is None else self.text(name)

    def flag(self, name: str, default: bool, *, null: bool = False) -> bool:
        value = self.body.get(name, default)
        if isinstance(value, bool):
            return value
        if value is None and null:
            return default
        word = str(int(value) if isinstance(value, float) and value.is_integer() else value).lower()
        if isinstance(value, str | int | float) and word in _TRUE | _FALSE:
            return word in _TRUE
        if isinstance(value, str | int | float):
            self.wrong("bool_parsing", name, "Input should be a valid boolean, unable to interpret input", value)
        else:
            self.wrong("bool_type", name, "Input should be a valid boolean", value)
        return default

    def integer(self, name: str, default: int, *, least: int | None = None) -> int:
        value = self.body.get(name, default)
        number = self.as_integer(name, value)
        if number is not None and least is not None and number < least:
            self.wrong("greater_than_equal", name, f"Input should be greater than or equal to {least}", value, ge=least)
        return default if number is None else number

    def as_integer(self, loc: str, value: object) -> int | None:
        """What pydantic takes for an int: 5, 5.0, "5" and true."""
        if isinstance(value, int):
            return int(value)
        if isinstance(value, float):
            if value.is_integer():
                return int(value)
            self.wrong(
                "int_from_float", loc, "Input should be a valid integer, got a number with a fractional part", value
            )
        elif isinstance(value, str):
            try:
                return int(value)
            except ValueError:
                self.wrong(
                    "int_parsing", loc, "Input should be a valid integer, unable to parse string as an integer", value
                )
        else:
            self.wrong("int_type", loc, "Input should be a valid integer", value)
        return None

    def choice(self, name: str, default: str, choices: tuple[str, ...]) -> str:
        value = self.body.get(name, default)
        if value in choices:
            return str(value)
        words = [f"'{choice}'" for choice in choices]
        expected = f"{', '.join(words[:-1])} or {words[-1]}"
        self.wrong("literal_error", name, f"Input should be {expected}", value, expected=expected)
        return default


def shown(value: object) -> str:
    """Of what a client sent, in what it is told about it."""
    if isinstance(value, dict):
        return f"<dict of {len(value)} items>"
    if isinstance(value, list):
        return f"<list of {len(value)} items>"
    text = str(value)
    return text if len(text) <= 2 * SHOWN_CHARACTERS else f"{text[: 2 * SHOWN_CHARACTERS]}...[truncated]"
