"""How the models are, as one document: who is awake, who waits, who is next, and what went wrong last.
GET /running answers with it, and the control socket shows it to the operator.
"""

from typing import Any

from middleware.mux.house import House
from switcher.snapshot import MemberNow, Snapshot
from switcher.states import GONE


def document(house: House) -> dict[str, Any]:
    now = house.switcher.snapshot()
    models = [member(house, one) for one in now.members]
    return {
        "running": [model for model, one in zip(models, now.members, strict=True) if one.state not in GONE],
        "models": models,
        "queued": now.queued,
        "timeline": timeline(now),
    }


def timeline(now: Snapshot) -> list[dict[str, Any]]:
    """The last changes of a state; why, and after how many seconds in the state before."""
    return [
        {
            "at": change.at,
            "model": change.name,
            "from": change.before.value,
            "to": change.after.value,
            "why": change.why,
            "seconds": change.seconds,
        }
        for change in now.timeline
    ]


def member(house: House, one: MemberNow) -> dict[str, Any]:
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
