"""The object that owns the engine's state: loading, ready, paused, asleep or gone.
`middleware.watch` drives it; /health, /v1/models, /metrics and admission ask it and nothing else, without I/O.
"""

import enum
import logging

from starlette.responses import Response

from middleware.errors import Refused, unavailable

log = logging.getLogger("middleware.engine")

RETRY_SECONDS = 5


class State(enum.Enum):
    LOADING = "loading"
    READY = "ready"
    PAUSED = "paused"
    ASLEEP = "asleep"
    GONE = "gone"


# An engine that was never ready cannot be gone: it is still loading, whatever its port says.
TRANSITIONS: dict[State, frozenset[State]] = {
    State.LOADING: frozenset({State.READY}),
    State.READY: frozenset({State.PAUSED, State.ASLEEP, State.GONE}),
    State.PAUSED: frozenset({State.READY, State.ASLEEP, State.GONE}),
    State.ASLEEP: frozenset({State.READY, State.PAUSED, State.GONE}),
    State.GONE: frozenset({State.READY}),
}
# A paused or sleeping engine lives: a probe that hears 503 would have the pod killed.
ALIVE = frozenset({State.READY, State.PAUSED, State.ASLEEP})

# What a request is told. vLLM 0.33.0's own words where it has them.
SENTENCES = {
    State.LOADING: "The engine is loading and not ready to serve yet: {why}.",
    State.PAUSED: "Generation is paused. Please retry after it resumes.",
    State.ASLEEP: "The engine is asleep. Please retry after it was woken.",
    State.GONE: "The engine is gone: {why}. Please retry after it has been restarted.",
}


class IllegalTransition(Exception):
    """Somebody asked for a change of state that cannot happen: a fault of ours, not of the engine."""


class Engine:
    """Answers are made when the state changes, so that a probe costs no more than sending one.

    engine.refusal()   # None when requests are admitted, else the 503 to answer with
    engine.health()    # 200 without a body, or 503
    engine.require_admission()
    """

    __slots__ = ("_refusal", "state", "why")

    def __init__(self) -> None:
        self.state = State.LOADING
        self.why = ""
        self._refusal: Response | None = None
        self.explain("it has not been asked yet")

    @property
    def alive(self) -> bool:
        return self.state in ALIVE

    def become(self, state: State, why: str) -> bool:
        """Whether this is a change; `why` goes to the log and into the answers of the states that refuse."""
        if state is self.state:
            self.explain(why)
            return False
        if state not in TRANSITIONS[self.state]:
            raise IllegalTransition(f"the engine cannot go from {self.state.value} to {state.value} ({why})")
        log.info("engine: %s -> %s (%s)", self.state.value, state.value, why)
        self.state = state
        self.explain(why)
        return True

    def explain(self, why: str) -> None:
        """The same state, for another reason."""
        if why == self.why and self._refusal is not None:
            return
        self.why = why
        sentence = SENTENCES.get(self.state)
        self._refusal = unavailable(sentence.format(why=why), RETRY_SECONDS) if sentence else None

    def refusal(self) -> Response | None:
        return self._refusal

    def require_admission(self) -> None:
        """Or Refused: no work for the engine now."""
        if self._refusal is not None:
            raise Refused(self._refusal)

    def require_alive(self) -> None:
        """Or Refused: there is nobody to ask; a paused or sleeping engine can be asked what is no work."""
        if not self.alive:
            self.require_admission()

    def health(self) -> Response:
        if self.alive or self._refusal is None:
            return Response()
        return self._refusal
