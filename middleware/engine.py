"""The object that owns the engine's state: loading, ready, paused, asleep or gone.
`middleware.watch` drives it; /health, /ready, /v1/models, /metrics and admission ask it and nothing else, without I/O.
"""

import enum
import logging
import time

from starlette.responses import Response

from middleware.errors import Refused, error
from middleware.phases import Phase

log = logging.getLogger("middleware.engine")

RETRY_SECONDS = 5
# Why a request was refused, in the counts.
NOT_READY = "engine_not_ready"
# haproxy's check reads it, so that its own 503 for /health can name the phase too.
PHASE_HEADER = "x-engine-phase"


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
    State.LOADING: "The engine is loading{phase} and not ready to serve yet: {why}.",
    State.PAUSED: "Generation is paused. Please retry after it resumes.",
    State.ASLEEP: "The engine is asleep. Please retry after it was woken.",
    State.GONE: "The engine is gone: {why}. Please retry after it has been restarted{phase}.",
}


class IllegalTransition(Exception):
    """Somebody asked for a change of state that cannot happen: a fault of ours, not of the engine."""


class Engine:
    """Answers are made when the state changes, so that a probe costs no more than sending one.

    engine.refusal()   # None when requests are admitted, else the 503 to answer with
    engine.pause("weights are replaced", admits=True)    # they are let in, and wait inside SGLang
    engine.health()    # 200 without a body while it is alive, or 503
    engine.readiness() # 200 without a body when requests are admitted, or 503
    engine.require_admission()
    """

    __slots__ = (
        "_admits",
        "_phase_began",
        "_refusal",
        "_starting",
        "_withheld",
        "phase",
        "released",
        "since",
        "stalled_seconds",
        "started",
        "state",
        "why",
    )

    def __init__(self) -> None:
        self.state = State.LOADING
        self.since = time.time()  # of the last change of state
        self.phase: Phase | None = None  # of its start, as far as its log tells
        self.started: float | None = None  # when a start that was seen ended in READY
        self._starting = False
        self.stalled_seconds = 0.0  # without progress, once that is longer than SGLang's own watchdog allows
        self.why = ""
        self._phase_began = time.monotonic()
        self._admits = False  # though it is paused
        self._withheld = ""  # why nothing is let in although it lives
        self.released: frozenset[str] = frozenset()  # what SGLang has given back of its memory, by its tags
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
        self.reach(None)
        now = time.time()
        # A clock that was set back must not tell of seconds before the beginning.
        seconds = max(0.0, now - self.since)
        log.info("engine: %s -> %s (%s; after %.1f s)", self.state.value, state.value, why, seconds)
        self.state, self.since = state, now
        self._admits &= state is State.PAUSED
        if state is not State.ASLEEP:
            self.released = frozenset()
        if state is State.READY and self._starting:
            self.started, self._starting = now, False
        self.explain(why)
        return True

    def pause(self, why: str, *, admits: bool) -> None:
        """Also of one that is paused already: who pauses last says whether requests are let in."""
        self.become(State.PAUSED, why)
        self._admits = admits
        self._say()

    def withhold(self, told: str) -> None:
        """From now on requests are told this, whatever is paused and resumed, until it is called with nothing."""
        self._withheld = told
        self._say()

    def asleep(self, released: frozenset[str]) -> None:
        """Also of one that is asleep already: more of its memory is released, or less."""
        self.become(State.ASLEEP, "it was put to sleep")
        self.released = released

    def explain(self, why: str) -> None:
        """The same state, for another reason."""
        if why != self.why or self._refusal is None:
            self.why = why
            self._say()

    def reach(self, phase: Phase | None) -> None:
        """The start has come to this phase, or is over."""
        if phase is self.phase or self.alive:
            return
        before, began, now = self.phase, self._phase_began, time.monotonic()
        self.phase, self._phase_began = phase, now
        self._starting |= phase is not None
        told = [f"{before.value} took {now - began:.1f} s"] if before else []
        told += [f"now {phase.value}"] if phase else []
        log.info("engine: %s", ", ".join(told))
        self._say()

    def _say(self) -> None:
        sentence, phase = SENTENCES.get(self.state), self.phase
        if self._withheld and self.state in (State.READY, State.PAUSED):
            self._refusal = error(503, self._withheld, headers={"retry-after": str(RETRY_SECONDS)})
            return
        if sentence is None:
            self._refusal = None
            return
        headers = {"retry-after": str(RETRY_SECONDS)} | ({PHASE_HEADER: phase.value} if phase else {})
        told = f" (phase: {phase.value})" if phase else ""
        self._refusal = error(503, sentence.format(why=self.why, phase=told), headers=headers)

    def refusal(self) -> Response | None:
        return None if self._admits and not self._withheld else self._refusal

    def require_admission(self) -> None:
        """Or Refused: no work for the engine now."""
        refusal = self.refusal()
        if refusal is not None:
            raise Refused(refusal, NOT_READY)

    def require_alive(self) -> None:
        """Or Refused: there is nobody to ask; a paused or sleeping engine can be asked what is no work."""
        if not self.alive:
            self.require_admission()

    def health(self) -> Response:
        if self.alive or self._refusal is None:
            return Response()
        return self._refusal

    def readiness(self) -> Response:
        """For who routes by readiness: a paused engine must be let live, and be sent nothing, though it would wait."""
        return self._refusal or Response()
