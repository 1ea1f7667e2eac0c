"""How the models are, as one document: who is awake, who waits, who is next, and what went wrong last.
GET /running answers with it, and the control socket shows it to the operator.
"""

from typing import Any

from middleware.mux.house import House
from switcher.snapshot import MemberNow
from switcher.states import State

_RESTING = frozenset({State.STOPPED, State.BACKOFF})


def document(house: House) -> dict[str, Any]:
    now = house.switcher.snapshot()
    models = [_member(house, one) for one in now.members]
    return {
        "running": [one for one, member in zip(models, now.members, strict=True) if member.state not in _RESTING],
        "models": models,
        "queued": now.queued,
        "timeline": [
            {"at": change.at, "model": change.name, "from": change.before.value, "to": change.after.value}
            for change in now.timeline
        ],
    }


def _member(house: House, one: MemberNow) -> dict[str, Any]:
    served = house.served.get(one.name)
    return {
        "model": one.name,
        "names": list(one.member.names),
        "state": one.state.value,
        "seconds": round(one.seconds, 3),
        "in_flight": one.in_flight,
        "queued": one.queued,
        "oldest_wait_seconds": round(one.oldest_wait, 3),
        "next": one.coming,
        "waits_for": one.blocked or None,
        "busy": one.busy or None,
        "error": one.error or None,
        "retry_seconds": round(one.retry_seconds, 3),
        "tier": one.member.tier.value,
        "no_release": (served.trouble or None) if served is not None else None,
        "devices": list(one.member.devices),
        "memory_gib": one.member.memory_gib or None,
        "wakes": one.series.wakes,
        "failures": dict(one.series.failures),
    }
