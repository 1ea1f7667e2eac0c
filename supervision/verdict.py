"""What the death of a program means: a policy per program as data, and one pure function that applies it.
`deaths` asks it at every death that nobody asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from supervision.settings import Settings

LONGEST_WAIT_SECONDS = 30.0
LOST_RANK = "it is one of several ranks, which only live together: all must be started anew"
HOPELESS = "died before it was ready, and would at every try"


class OnDeath(Enum):
    END = auto()  # the container ends
    WAIT = auto()  # restarted after 1, 2, 4 ... seconds: the memory of the dead needs time to be freed
    RESTART = auto()  # supervisord's own autorestart, at once
    LEAVE = auto()  # nobody here starts it again: others may have its memory by now


@dataclass(frozen=True)
class Policy:
    on_death: OnDeath
    limit: int  # so many deaths ...
    window_seconds: float  # ... within so long end the container, whatever is said above
    end_reason: str = ""  # said when it ends what had been ready
    early_reason: str = "died before it was ready"  # said when it ends what had not


@dataclass(frozen=True)
class Restart:
    after_seconds: float  # 0: whenever supervisord would


@dataclass(frozen=True)
class GiveUp:
    reason: str


@dataclass(frozen=True)
class Leave:
    """One of several models: the switcher hears of it, and starts it when it is asked for."""


def policy_for(program: str, settings: Settings) -> Policy:
    if program not in settings.engines:
        return Policy(OnDeath.RESTART, settings.helper_crash_limit, settings.crash_window_seconds)
    if program in settings.members:
        return Policy(OnDeath.LEAVE, settings.crash_limit, settings.crash_window_seconds)
    if settings.worker_rank:
        # Started again alone it would wait for ever: the others' collectives are gone with it.
        return Policy(OnDeath.END, 1, settings.crash_window_seconds, end_reason=LOST_RANK, early_reason=LOST_RANK)
    # In Kubernetes the kubelet tries again, with a backoff of its own and for everybody to see.
    return Policy(
        OnDeath.WAIT if settings.engine_restart == "in-place" else OnDeath.END,
        limit=settings.crash_limit,
        window_seconds=settings.crash_window_seconds,
        end_reason=f"restart policy is {settings.engine_restart}",
    )


def judge(
    policy: Policy,
    *,
    was_ready: bool,
    deaths: Sequence[float],
    now: float,
    failed_starts: int = 0,
    can_heal: bool = True,
) -> Restart | GiveUp | Leave:
    """`deaths` holds the times of all deaths so far, this one included; `failed_starts` counts those in a row of lives
    that were never ready; `can_heal`: the same start may succeed another time."""
    recent = sum(now - policy.window_seconds <= death <= now for death in deaths)
    if policy.on_death is OnDeath.LEAVE:
        return Leave()
    if policy.on_death is OnDeath.END:
        if was_ready:
            return GiveUp(f"lost after it had been ready; {policy.end_reason}")
        return GiveUp(policy.early_reason)
    if recent >= policy.limit:
        return GiveUp(f"{recent} exits within {policy.window_seconds:g} s")
    if policy.on_death is OnDeath.WAIT:
        if not was_ready and not can_heal:
            return GiveUp(HOPELESS)
        # A large model takes longer to fail than the window is wide.
        if failed_starts >= policy.limit:
            return GiveUp(f"{failed_starts} starts in a row failed")
        return Restart(after_seconds=min(2.0 ** (recent - 1), LONGEST_WAIT_SECONDS))
    return Restart(after_seconds=0)
