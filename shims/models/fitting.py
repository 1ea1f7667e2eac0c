"""What can never run on this machine, said before anything starts: devices that it does not have, a model that is too
large for its own, models that are pinned and do not fit together. `several` calls `check`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from shims.facts import Facts
from shims.models import gpus
from shims.models.entry import Asked, Entry
from switcher.fits import fit
from switcher.spec import Member, Mux


def memory(asked: Asked, found: Facts) -> dict[int, float]:
    """GiB of each device that a model names: the operator's word, or the driver's."""
    used = sorted({device for entry in asked.entries for device in entry.devices})
    match asked.device_memory_gib:
        case None:
            known = dict(enumerate(found.device_memory or ()))
        case dict() as given:
            known = dict(given)
        case gib:
            known = dict.fromkeys(used, float(str(gib)))
    return {device: known[device] for device in used if known.get(device)}


def check(entries: Sequence[Entry], mux: Mux, found: Facts, env: Mapping[str, str]) -> list[str]:
    """Raises CommandLineError; the warnings."""
    for entry in entries:
        _devices(entry, found, env)
        for device in entry.devices:
            has = mux.device_memory.get(device)
            if has is not None and entry.memory_gib > has:
                raise entry.wrong(
                    f"memory_gib is {entry.memory_gib:g}, and device {device} has {has:g}: it can never fit;"
                    " give it more devices, or less",
                    "memory_gib",
                )
    _pins(entries, mux)
    if found.device_memory == () and any(entry.devices for entry in entries):
        return ["models name devices, and no GPU was found on this machine: they are held apart as if there were some"]
    return []


def _devices(entry: Entry, found: Facts, env: Mapping[str, str]) -> None:
    if not entry.devices:
        return
    left = gpus.visible(env)
    for device in entry.devices:
        if left is not None and device not in left:
            names = ", ".join(map(str, left))
            raise entry.wrong(f"device {device} is none of the container's visible ones: {names}", "devices")
        if found.device_memory and device >= len(found.device_memory):
            last = len(found.device_memory) - 1
            have = f"0 to {last}" if last else "0 alone"
            raise entry.wrong(f"device {device} does not exist: this machine has {have}", "devices")


def _pins(entries: Sequence[Entry], mux: Mux) -> None:
    pinned: list[Member] = []
    for entry, member in zip(entries, mux.members, strict=True):
        if member.pin and not fit([*pinned, member], mux):
            raise entry.wrong(_beside(member, pinned, "both are pinned, and do not fit together"), "pin")
        pinned += [member] if member.pin else []
    for entry, member in zip(entries, mux.members, strict=True):
        if not member.pin and not fit([*pinned, member], mux):
            raise entry.wrong(_beside(member, pinned, "it does not fit beside what is pinned, and would never run"))


def _beside(member: Member, pinned: Sequence[Member], why: str) -> str:
    names = ", ".join(one.name for one in pinned)
    return f"{member.name} and {names}: {why}; give memory_gib, other devices or slots, one group, or no pin"
