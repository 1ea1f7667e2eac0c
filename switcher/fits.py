"""Which members can hold their devices at the same time: devices, sums of memory, groups, and slots of the host.
Asked by `switcher.schedule` for every change, and by the shims for what can never fit.
"""

from collections.abc import Iterable

from switcher.spec import Member, Mux


def has_room(member: Member, others: Iterable[Member], mux: Mux) -> bool:
    """Alone it always has: that it needs more than there is, is for who reads the models' file to say."""
    others = tuple(others)
    if any(_may_share(member, other) and not _one_group([member, other]) for other in others):
        return False
    if not member.devices:
        on_host = [member, *(other for other in others if not other.devices)]
        return _places(on_host) <= max(1, mux.slots)
    return all(_fit_on(device, [member, *(o for o in others if device in o.devices)], mux) for device in member.devices)


def fit(members: Iterable[Member], mux: Mux) -> bool:
    together = tuple(members)
    return all(has_room(member, together[number + 1 :], mux) for number, member in enumerate(together))


def meet(one: Member, other: Member) -> bool:
    """Whether they ever compete: on a device, or for a slot."""
    shared = bool(set(one.devices) & set(other.devices)) or not (one.devices or other.devices)
    return shared or _may_share(one, other)


def _may_share(one: Member, other: Member) -> bool:
    """Who may be on any device may be on those that somebody else names."""
    return bool((one.anywhere and other.devices) or (other.anywhere and one.devices))


def _fit_on(device: int, members: list[Member], mux: Mux) -> bool:
    if len(members) == 1 or _one_group(members):
        return True
    total = mux.device_memory.get(device)
    # Of a device that tells nothing of its memory, any member may need all.
    return total is not None and sum(member.memory_gib or total for member in members) <= total


def _places(members: list[Member]) -> int:
    """Of the host's slots: a group takes one for all of its members."""
    groups = {member.group for member in members if member.group}
    return len(groups) + sum(not member.group for member in members)


def _one_group(members: list[Member]) -> bool:
    return bool(members[0].group) and len({member.group for member in members}) == 1
