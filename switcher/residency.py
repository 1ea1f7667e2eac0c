"""When an awake member may be put away for another: its least stay, its share of the time, the other's patience.
Asked by `switcher.schedule`; the numbers of fairness stand here and nowhere else.
"""

from switcher.spec import Member
from switcher.view import NEVER, Seen, View, Want

# A stay of three times what it costs to come and go: at most a quarter of the time goes into switching.
STAY_PER_SWITCH = 3.0
# What each of the waiting gets of a busy device before the next, times its priority.
QUANTUM_SECONDS = 5.0


def is_overdue(seen: Seen, now: float) -> bool:
    return now >= seen.oldest + seen.member.max_wait_seconds


def least_stay(seen: Seen, patience: float) -> float:
    """No more than the other is asked to wait: a model of a minute's switch would stay for three."""
    given = seen.member.min_residency_seconds
    return min(STAY_PER_SWITCH * seen.round_trip if given is None else given, patience)


def due(awake: Seen, other: Seen, want: Want, view: View) -> float:
    """The time from which `awake` may be put away for `other`; NEVER: not before something happens."""
    if want is Want.RETURN:
        return NEVER
    if not awake.idle:
        return _share_used(awake, other.member, other.oldest) if want is Want.WAITERS else NEVER
    stayed = awake.awake_since + least_stay(awake, other.member.max_wait_seconds)
    if want is Want.DEFAULT:
        return max(stayed, awake.idle_since + view.mux.default_seconds)
    if want is Want.PRELOAD and not awake.used:
        return view.now
    if awake.member.min_residency_seconds is None:
        # Nobody asked for as long as a switch takes: waiting on would cost more than to be wrong.
        return min(stayed, awake.idle_since + awake.round_trip, _overdue(awake, other.member, other.oldest))
    return stayed


def _share_used(awake: Seen, other: Member, oldest: float) -> float:
    stay = least_stay(awake, other.max_wait_seconds)
    quantum = max(1, awake.member.priority) * max(QUANTUM_SECONDS, stay)
    return min(awake.awake_since + quantum, _overdue(awake, other, oldest))


def _overdue(awake: Seen, other: Member, oldest: float) -> float:
    """Who came while this one still woke would wait for two switches and the whole stay: for who has waited too long
    the time of one switch is stay enough, unless the operator gave another."""
    stay = least_stay(awake, other.max_wait_seconds)
    least = stay if awake.member.min_residency_seconds is not None else min(stay, awake.round_trip)
    return max(awake.awake_since + least, oldest + other.max_wait_seconds)
