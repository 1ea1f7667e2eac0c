"""The parameters of a request's query, read one by one, and refused in pydantic's words.
Used by the endpoints that vLLM gives parameters instead of a body.
"""

from starlette.requests import Request

from middleware.errors import bad_schema
from middleware.form import shown

_TRUE = frozenset({"true", "1", "yes", "on", "t", "y"})
_FALSE = frozenset({"false", "0", "no", "off", "f", "n"})


class Query:
    """query = Query(request)
    fast = query.flag("fast")
    query.done()                # Refused, if anything was wrong
    """

    __slots__ = ("_given", "_wrong")

    def __init__(self, request: Request) -> None:
        self._given = request.query_params
        self._wrong: list[dict[str, object]] = []

    def done(self) -> None:
        if self._wrong:
            raise bad_schema(*self._wrong)

    def flag(self, name: str, default: bool = False) -> bool:
        word = self._given.get(name)
        if word is None or word.lower() in _TRUE | _FALSE:
            return default if word is None else word.lower() in _TRUE
        msg = "Input should be a valid boolean, unable to interpret input"
        self._wrong.append({"type": "bool_parsing", "loc": f"query.{name}", "msg": msg, "input": shown(word)})
        return default

    def choice(self, name: str, default: str, choices: tuple[str, ...]) -> str:
        word = self._given.get(name, default)
        if word not in choices:
            expected = " or ".join(f"'{choice}'" for choice in choices)
            msg = f"Input should be {expected}"
            detail = {"type": "literal_error", "loc": f"query.{name}", "msg": msg, "input": shown(word)}
            self._wrong.append({**detail, "ctx": {"expected": expected}})
        return word
