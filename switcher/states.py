"""The states of a member, which of them hold its devices, and which can follow which.
Used by all of `switcher`; `middleware.mux` prints their values.
"""

import enum


class State(enum.StrEnum):
    STOPPED = "stopped"
    STARTING = "starting"
    AWAKE = "awake"
    DRAINING = "draining"  # no new requests; the running ones may end
    SLEEPING = "sleeping"  # on its way to asleep or stopped, until it is proven gone
    ASLEEP = "asleep"
    WAKING = "waking"
    BACKOFF = "backoff"  # stopped after a failure; not tried again before a while has passed


# From the first moment of a start until it is proven gone.
HOLDING = frozenset({State.STARTING, State.AWAKE, State.DRAINING, State.SLEEPING, State.WAKING})
LEAVING = frozenset({State.DRAINING, State.SLEEPING})
# No process is left of it.
GONE = frozenset({State.STOPPED, State.BACKOFF})
# It takes requests, or ends its last: only there is a pause somebody else's, and not of a step of ours.
IN_USE = frozenset({State.AWAKE, State.DRAINING})
# Its process should run: if it does not, it has died. (While a step runs, the step tells.)
RUNNING = frozenset({State.AWAKE, State.DRAINING, State.ASLEEP})
# Where a wake or a start begins.
RESTING = frozenset({State.STOPPED, State.ASLEEP})

TRANSITIONS: dict[State, frozenset[State]] = {
    State.STOPPED: frozenset({State.STARTING}),
    # Sleeping: its start is not wanted any more.
    State.STARTING: frozenset({State.AWAKE, State.BACKOFF, State.SLEEPING}),
    State.AWAKE: frozenset({State.DRAINING, State.SLEEPING}),
    State.DRAINING: frozenset({State.AWAKE, State.SLEEPING}),
    # Awake again: the whole server ends, and nobody was there to put it away.
    State.SLEEPING: frozenset({State.ASLEEP, State.STOPPED, State.BACKOFF, State.AWAKE}),
    State.ASLEEP: frozenset({State.WAKING, State.SLEEPING}),
    State.WAKING: frozenset({State.AWAKE, State.BACKOFF}),
    State.BACKOFF: frozenset({State.STOPPED}),
}


class IllegalTransition(Exception):
    """A change of state that cannot happen: a fault of ours."""
