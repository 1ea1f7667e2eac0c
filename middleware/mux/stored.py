"""Responses that SGLang keeps, of several models: each is one model's alone, and ends with its process.
Asked by `middleware.mux.whose` and by `middleware.mux.front`, before anybody waits for a model that cannot have it.
"""

from starlette.types import Scope

from middleware.dialect.ids import PREFIXES, assigned
from middleware.errors import Refused, bad_request, error
from middleware.fields.asked import no_such_response
from middleware.fields.told import Kind
from middleware.mux.members import Served
from middleware.mux.naming import Asked
from middleware.mux.questions import ABSENT
from switcher.switcher import Switcher

RESPONSES = "/v1/responses"
ONE = f"{RESPONSES}/"
# Of more, the oldest are forgotten: they have to be asked for below /upstream/MODEL.
REMEMBERED = 10_000

BACKGROUND = (
    "background is not served where several models take turns: the model could be put away while it works, as nobody"
    " waits for it. Leave it out, or give `stream` as well."
)


class Stored:
    """name = stored.maker(path)            # or Refused: nobody made it
    stored.check(served, scope, asked)      # or Refused: its engine does not have it
    """

    __slots__ = ("_makers", "_switcher")

    def __init__(self, switcher: Switcher) -> None:
        self._switcher = switcher
        self._makers: dict[str, str] = {}

    def maker(self, path: str) -> str | None:
        """None: the path names no response."""
        if not path.startswith(ONE):
            return None
        found = self._makers.get(_id(path))
        if found is None:
            raise no_such_response(_id(path))
        return found

    def check(self, served: Served, scope: Scope, asked: Asked) -> None:
        """Of a request that is to be stored, its id is remembered."""
        path = scope["path"]
        if path == RESPONSES and asked.background and not asked.streams:
            raise bad_request(BACKGROUND, "background")
        if served.built is None:
            return
        if path.startswith(ONE):
            self._require(_id(path), served)
        elif path == RESPONSES:
            if asked.previous is not None:
                if asked.previous not in self._makers:
                    raise no_such_response(asked.previous)
                self._require(asked.previous, served)
            if served.policy.response_store:
                self._remember(PREFIXES[Kind.RESPONSE] + assigned(scope), served.name)

    def _require(self, response_id: str, served: Served) -> None:
        if not served.policy.response_store:
            raise no_such_response(response_id)
        maker = self._makers.get(response_id, served.name)
        if maker != served.name:
            raise _not_here(response_id, f"it is kept by the model {maker!r}, and {served.name!r} was asked for it")
        if self._switcher.snapshot()[served.name].state in ABSENT:
            raise _not_here(response_id, f"the model {maker!r}, which kept it, was stopped since it was made")

    def _remember(self, response_id: str, name: str) -> None:
        self._makers[response_id] = name
        if len(self._makers) > REMEMBERED:
            del self._makers[next(iter(self._makers))]


def _id(path: str) -> str:
    return path.removeprefix(ONE).partition("/")[0]


def _not_here(response_id: str, why: str) -> Refused:
    words = f"Response with id '{response_id}' not found: {why}."
    return Refused(error(404, words, param="response_id", kind="invalid_request_error"))
