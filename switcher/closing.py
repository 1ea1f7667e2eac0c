"""No more switches, as the whole server ends: who is awake stays and serves, and who waits for another is told so.
Begun by `Switcher.end_switching` or by a driver's Ending; walked by `switcher.turns` in the place of the schedule.
"""

import logging
from functools import partial

from switcher.entry import Entry
from switcher.exceptions import RETRY_SECONDS, Unavailable
from switcher.fits import has_room
from switcher.roster import Roster
from switcher.states import HOLDING, State

log = logging.getLogger("switcher")

WHY = "the server shuts down, and nobody takes its place"
# On its way it needs nobody else; what drains is called back.
SERVING = frozenset({State.AWAKE, State.DRAINING, State.STARTING, State.WAKING})


def begin(roster: Roster) -> None:
    if roster.closing:
        return
    roster.closing = True
    kept = [entry.member for entry in roster.entries.values() if entry.state in HOLDING - {State.SLEEPING}]
    for entry in roster.entries.values():
        # A switch that only waits for others to be asleep ends well: a wake needs no process to be started.
        if entry.coming and entry.state is State.ASLEEP and has_room(entry.member, kept, roster.mux):
            roster.finishing.add(entry.name)
            kept.append(entry.member)
        entry.coming, entry.blocked = entry.name in roster.finishing, ""
    log.info("no more switches: the server shuts down")


def serves(roster: Roster, entry: Entry) -> bool:
    return entry.state in SERVING or entry.name in roster.finishing


def look(roster: Roster) -> None:
    for entry in roster.entries.values():
        if entry.order is not None:
            entry.order.refuse(refusal(entry))
            entry.order = None
        if entry.state is State.DRAINING:
            entry.stay(WHY)
        if entry.name in roster.finishing and _has_place(roster, entry):
            roster.finishing.discard(entry.name)
            entry.wake()
        elif not serves(roster, entry):
            entry.line.refuse_all(partial(refusal, entry))


def refusal(entry: Entry) -> Unavailable:
    sentence = (
        f"The server is shutting down, and switches no more: the model {entry.name!r} is {entry.state}. Please retry."
    )
    return Unavailable(503, sentence, RETRY_SECONDS)


def _has_place(roster: Roster, entry: Entry) -> bool:
    """As soon as those who leave are proven gone."""
    held = [other.member for other in roster.entries.values() if other.state in HOLDING]
    return entry.state is State.ASLEEP and has_room(entry.member, held, roster.mux)
