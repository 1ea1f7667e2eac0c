"""What can never run on this machine, said before anything starts: devices that it does not have, a model that is too
large for its own, models that are pinned and do not fit together. `several` calls `check`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

from shims.facts import Facts
from shims.models import gpus
from shims.models.entry import Asked, Entry
from shims.models.member import Built
from shims.values.whole import whole
from switcher.fits import fit, has_room
from switcher.spec import Member, Mux

# SGLang 0.5.23: a rank for each of their product, on the visible GPUs from the first on.
SIZES = ("--tp-size", "--pp-size", "--dp-size")
INSIDE = ("--enable-dp-attention",)  # then the replicas lie within --tp-size
PLACED = ("--base-gpu-id", "--gpu-id-step")


def memory(asked: Asked, found: Facts) -> dict[int, float]:
    """GiB of each device that a model names: the operator's word, or the driver's."""
    used = sorted({device for entry in asked.entries for device in entry.devices or ()})
    match asked.device_memory_gib:
        case None:
            known = dict(enumerate(found.device_memory or ()))
        case dict() as given:
            known = dict(given)
        case gib:
            known = dict.fromkeys(used, float(str(gib)))
    return {device: known[device] for device in used if known.get(device)}


def check(built: Sequence[Built], mux: Mux, found: Facts, env: Mapping[str, str]) -> list[str]:
    """Raises CommandLineError; the warnings."""
    entries = [one.entry for one in built]
    warnings: list[str] = []
    for one, entry in zip(built, entries, strict=True):
        _devices(entry, found, env)
        warnings += _ranks(one)
        for device in entry.devices or ():
            has = mux.device_memory.get(device)
            if has is not None and entry.memory_gib > has:
                raise entry.wrong(
                    f"memory_gib is {entry.memory_gib:g}, and device {device} has {has:g}: it can never fit;"
                    " give it more devices, or less",
                    "memory_gib",
                )
    _pins(entries, mux)
    named = any(entry.devices for entry in entries)
    if named and (anywhere := [member.name for member in mux.members if member.anywhere]):
        warnings.append(
            f"{', '.join(anywhere)}: no `devices`, so it may be on any GPU, and takes turns with the models that name"
            " theirs; `devices: []` if it uses none"
        )
    if found.device_memory == () and named:
        warnings.append(
            "models name devices, and no GPU was found on this machine: they are held apart as if there were some"
        )
    return warnings


def _ranks(one: Built) -> list[str]:
    """SGLang ends at its start without a GPU for each rank, and leaves those idle that are too many."""
    entry, given = one.entry, one.draft.engine_args if one.draft and one.engine.model else {}
    if not entry.devices or not given or any(flag in given for flag in PLACED):
        return []
    sizes = {flag: size for flag in SIZES if (size := whole(next(iter(given.get(flag, ())), "")))}
    if any(flag in given for flag in INSIDE):
        sizes.pop("--dp-size", None)
    ranks, has = prod(sizes.values()), len(entry.devices)
    why = f" ({', '.join(f'{flag} {size}' for flag, size in sizes.items())})" if sizes else ""
    runs = f"devices names {has}, and its command line runs on {ranks} GPU{'s' if ranks > 1 else ''}{why}"
    if ranks > has:
        raise entry.wrong(f"{runs}: name {ranks} devices, or give smaller sizes", "devices")
    return [f"{entry.at('devices')}: {runs}: the others stay idle"] if ranks < has else []


def check_ports(entries: Sequence[Entry], after: Mux, before: Mux) -> None:
    """At a reload: one port is of two processes only where they can never run at once. Raises CommandLineError."""
    for entry, member in zip(entries, after.members, strict=True):
        for old in before.members:
            if old.port == member.port and old.name != member.name and has_room(member, [old], after):
                raise entry.wrong(
                    f"port {member.port} is that of {old.name} until it has left: give another port, or none to have"
                    " one chosen",
                    "port",
                )


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
