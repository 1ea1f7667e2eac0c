"""The parameters of a request's query, read one by one, and refused in pydantic's words.
Used by the endpoints that vLLM gives parameters instead of a body.
"""

from starlette.requests import Request

from middleware.fields.kinds import BOOL, INT, Errors, bounded, one_of, schema_error


class Query:
    """query = Query(request)
    fast = query.flag("fast")
    query.done()                # Refused, if anything was wrong
    """

    __slots__ = ("_given", "_wrong")

    def __init__(self, request: Request) -> None:
        self._given = request.query_params
        self._wrong: Errors = []

    def done(self) -> None:
        if self._wrong:
            raise schema_error(self._wrong)

    def flag(self, name: str, default: bool = False) -> bool:
        value = BOOL.read(self._given.get(name, default), f"query.{name}", self._wrong)
        return value is True

    def number(self, name: str, default: int, least: int, most: int) -> int:
        """What is wrong is the default until `done`."""
        known = len(self._wrong)
        given = self._given.get(name, default)
        value = bounded(INT, least, most).read(given, f"query.{name}", self._wrong)
        return value if len(self._wrong) == known else default

    def choice(self, name: str, default: str, choices: tuple[str, ...]) -> str:
        word = self._given.get(name, default)
        one_of(*choices).read(word, f"query.{name}", self._wrong)
        return word
