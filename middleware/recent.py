"""The last requests that went wrong: when, whose, which path, which status, and one sentence of ours that says why.
Filled by `middleware.metrics.accounts` where they are counted, told by `middleware.control`; no prompt, key or body.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from starlette.types import Scope

from middleware.dialect.ids import assigned
from middleware.headers import header
from middleware.masking import Mask
from middleware.secrecy import cleaned

KEPT = 20  # of each kind
LONGEST = 80  # characters of a path and of an id: both are a client's to choose
LOOKED_AT = 2000  # characters of them that are kept, and in which a secret is looked for
# By the reason that it is counted under. SGLang's own words, and ours to the client, may repeat what was sent.
SENTENCES: Mapping[str, str] = {
    "unauthorized": "the API key is missing or wrong",
    "no_such_route": "there is no such path",
    "no_such_method": "the path has no such method",
    "engine_not_ready": "the engine was not ready",
    "max_num_queued_reqs": "SGLang's queue was full",
    "unreachable": "SGLang could not be reached",
    "no_answer": "SGLang did not answer in time",
    "bad_answer": "SGLang's answer was no HTTP",
    "closed": "SGLang closed the connection before it had answered",
    "cut_short": "SGLang's answer broke off in the middle",
    "error": "SGLang told an error in the middle of its answer; its log says more",
    "fault": "a fault of the middleware's; its log has the traceback",
}
ENGINE = "engine:"


@dataclass(frozen=True, slots=True)
class Mishap:
    at: float  # the last of them
    times: int
    request: str  # its id in all logs
    client_request: str  # the client's X-Request-Id, or nothing
    method: str
    path: str  # without its query
    status: int
    why: str


class Recent:
    """recent = Recent(Mask(keys))
    recent.note(scope, 503, "engine_not_ready")
    recent.last        # the newest last

    Equal ones are one, and what a client did wrong has a place of its own: anybody may call what is not there. What he
    has chosen is kept as it came, and made fit to be shown when somebody asks: a refusal must cost nothing.
    """

    __slots__ = ("_failed", "_mask", "_refused")

    def __init__(self, mask: Mask | None = None) -> None:
        self._mask = mask or Mask()
        self._refused: dict[tuple[object, ...], Mishap] = {}
        self._failed: dict[tuple[object, ...], Mishap] = {}

    @property
    def last(self) -> list[Mishap]:
        """Long ones take a few milliseconds each: not for the event loop."""
        found = sorted((*self._refused.values(), *self._failed.values()), key=lambda mishap: mishap.at)
        plain = self._plain
        return [
            replace(one, client_request=plain(one.client_request), method=plain(one.method), path=plain(one.path))
            for one in found
        ]

    def note(self, scope: Scope, status: int, reason: str) -> None:
        method, path, why = scope["method"][:LOOKED_AT], scope["path"][:LOOKED_AT], sentence(reason)
        chosen = (header(scope["headers"], b"x-request-id") or b"")[:LOOKED_AT].decode("latin-1")
        kind = self._refused if 400 <= status < 500 else self._failed
        same = (status, method, path, why)
        before = kind.pop(same, None)
        times = before.times + 1 if before is not None else 1
        if len(kind) == KEPT:
            del kind[next(iter(kind))]
        kind[same] = Mishap(time.time(), times, assigned(scope), chosen, method, path, status, why)

    def _plain(self, text: str) -> str:
        """It is shown in a terminal: no escapes, no line breaks, no secrets. Cut when they are gone."""
        masked = self._mask.cut(text, LOOKED_AT) if len(text) == LOOKED_AT else self._mask.text(text)
        return cleaned("".join(one if one.isprintable() else "?" for one in masked))[:LONGEST]


def sentence(reason: str) -> str:
    if reason.startswith(ENGINE):
        return f"SGLang refused it: {reason.removeprefix(ENGINE)}"
    if reason.isdecimal():
        return f"it was answered with {reason}; the log of the engine or of the middleware says more"
    return SENTENCES.get(reason) or f"refused by the rule {reason}"
