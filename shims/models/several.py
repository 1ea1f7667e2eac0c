"""The Plan of several models: the front door by the flags that they have in common, one engine for each, and what the
switcher is told. Pure, as `shims.plan`: `gather` alone looks at the machine. `shims.start` calls both.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from shims import facts, plan, ports
from shims.cli import CommandLine
from shims.exceptions import CommandLineError, Refused
from shims.facts import Facts
from shims.flags.draft import Decision
from shims.models import FLAG, VARIABLE, common, fitting, gpus, member, naming
from shims.models.command import Models
from shims.models.member import Built, Read
from shims.models.naming import Before
from shims.plan import Part, Plan
from switcher.spec import Member, Mux, Tier


def gather(models: Models, reads: Sequence[Read]) -> Facts:
    """Of the machine as a whole: what belongs to a model is added for each."""
    found = facts.gather(_front(models, reads), models.env)
    return replace(found, device_memory=gpus.memory())


def read(models: Models) -> list[Read]:
    """Raises ShimError."""
    common.check(models.common)
    return [member.read(entry, models) for entry in models.asked.entries]


def make(
    models: Models,
    reads: Sequence[Read],
    found: Facts,
    *,
    of_machine: bool,
    before: Before = naming.NOTHING,
) -> Plan:
    """`of_machine`: whether `found` is of this machine, where each model's own files may be looked at too."""
    asked, env = models.asked, models.env
    front = plan.make(_front(models, reads), env, found)
    if asked.page and not front.ports.page:
        where = ports.with_page(front.ports, asked.page, f"page of {asked.files[0]}", found.taken_ports)
        front = replace(front, ports=where)
    naming.check_ports(
        asked.entries,
        [
            ("the front door", front.ports.public),
            ("the middleware", front.ports.middleware),
            ("the page", front.ports.page),
        ],
    )
    memory = fitting.memory(asked, found)
    names = [_name_so_far(one) for one in reads]
    wanted = [one.entry.port or before.ports.get(name, 0) for one, name in zip(reads, names, strict=True)]
    leaving = set(before.ports.values()) - set(wanted)
    chosen = ports.of_members(wanted, front.ports, found.taken_ports | leaving)
    built: list[Built] = []
    refusals: list[tuple[str, str]] = []
    for one, slug, port in zip(reads, naming.slugs(names, before), chosen, strict=True):
        own = facts.of_model(found, one.command, env) if of_machine and one.command else found
        try:
            built.append(member.build(one, models, own, slug, port, memory))
        except Refused as error:
            refusals += error.refusals
    if refusals:
        raise Refused(refusals)
    naming.check([(one.entry, (*one.names, *one.policy.adapters)) for one in built])
    mux = _mux(models, built, front, memory)
    remarks = fitting.check(built, mux, found, env)
    secrets = _secrets(built)
    shared, added = _shared(front, built)
    return replace(
        front,
        models=tuple(name for one in built for name in one.names),
        engines=tuple(one.engine for one in built),
        engine_only=plan.engine_only(env, secrets),
        files=tuple(file for one in built for file in one.files),
        secrets=secrets,
        decisions=(*_given(models), *shared),
        added=tuple(added),
        warnings=(*front.warnings, *_warnings(built, front), *remarks, *asked.notes),
        mux=mux,
        words=models.words,
        parts=tuple(_part(one, front, shared, added) for one in built),
    )


def _front(models: Models, reads: Sequence[Read]) -> CommandLine:
    """The common flags over the first model: it says where caches may live."""
    first = next((one.command for one in reads if one.command is not None), None)
    model = first and (first.positional or first.last("--model"))
    return replace(models.common, positional=model or models.asked.entries[0].name)


def _name_so_far(one: Read) -> str:
    own = one.command
    given = own.last("--served-model-name") if own else None
    model = (own.positional or own.last("--model", "")) if own else ""
    return one.entry.name or (given[0] if given else model)


def _mux(models: Models, built: Sequence[Built], front: Plan, memory: Mapping[int, float]) -> Mux:
    asked = models.asked
    names = [name for one in built for name in one.names]
    if asked.default and asked.default not in names:
        raise CommandLineError(f"{asked.files[0]}: default is {asked.default!r:.60}: give one of {', '.join(names)}")
    optional: dict[str, Any] = {
        "slots": asked.slots,
        "host_memory_gib": asked.host_memory_gib,
        "default": asked.default,
        "default_seconds": asked.default_after,
        "queue_limit": asked.queue,
        "request_seconds": asked.request,
    }
    members = tuple(_member(one, models.limits, front) for one in built)
    return Mux(members, memory, **{name: value for name, value in optional.items() if value is not None})


def _member(one: Built, limits: Mapping[str, float], front: Plan) -> Member:
    entry, run_dir, program = one.entry, front.facts.run_dir, one.engine.name
    # What the file says of a model is nearer to it than an option for all.
    nearer: dict[str, Any] = {name: n for name, n in limits.items() if f"limits.{name}" not in entry.lines}
    limit = replace(entry.limits, **nearer)
    return Member(
        name=one.names[0],
        program=program,
        names=one.names,
        port=one.engine.port,
        kind="other" if entry.cmd is not None else "sglang",
        devices=entry.devices or (),
        anywhere=entry.devices is None,
        memory_gib=entry.memory_gib,
        host_memory_gib=entry.host_memory_gib,
        tier=Tier(entry.tier),
        ttl_seconds=entry.ttl,
        pin=entry.pin,
        preload=entry.preload,
        priority=entry.priority,
        group=entry.group,
        min_residency_seconds=limit.min_residency,
        max_wait_seconds=limit.max_wait,
        drain_seconds=limit.drain,
        queue_limit=limit.queue,
        concurrency=limit.concurrency,
        ready_seconds=limit.ready,
        switch_seconds=limit.switch,
        upstream_seconds=limit.upstream,
        health=entry.health,
        policy=f"{run_dir}/{policy_file(program)}",
        ready_file=f"{run_dir}/ready/{program}",
        engine_log=f"{front.facts.log_dir}/{program}.log",
        command=_digest(one),
    )


def _digest(one: Built) -> str:
    """Of all that its process is started with."""
    told = (one.engine.argv, sorted(one.engine.env.items()), one.engine.unset, one.policy.to_json())
    return hashlib.sha256(json.dumps(told, ensure_ascii=True).encode()).hexdigest()[:16]


def policy_file(program: str) -> str:
    return f"policy/{program}.json"


def _part(one: Built, front: Plan, shared: Sequence[Decision], added: Sequence[tuple[str, str]]) -> Part:
    draft = one.draft
    own = one.decisions if one.engine.model else ()
    return Part(
        name=one.names[0],
        program=one.engine.name,
        model=one.engine.model,
        policy=plan.policy(draft.policy if draft else front.policy, front.settings, front.facts),
        decisions=tuple(decision for decision in own if decision not in shared),
        added=tuple(line for line in draft.added if line not in added) if draft and one.engine.model else (),
        notes=one.notes,
    )


def _shared(front: Plan, built: Sequence[Built]) -> tuple[list[Decision], list[tuple[str, str]]]:
    """What is said once, for all: the front door's own lines, and those that no model says otherwise."""
    drafts = [one.draft for one in built if one.draft is not None and one.engine.model]
    door = {*common.LEFT, *common.REFUSED}
    lines = [
        line
        for line in front.decisions
        if line.name != "model" and (line.name in door or all(line in draft.decisions for draft in drafts))
    ]
    return lines, [line for line in front.added if drafts and all(line in draft.added for draft in drafts)]


def _secrets(built: Sequence[Built]) -> dict[str, str]:
    """They travel in the environment that all programs share. Raises CommandLineError."""
    secrets: dict[str, str] = {}
    for one in built:
        for name, value in (one.draft.secrets if one.draft else {}).items():
            if secrets.setdefault(name, value) != value:
                raise one.entry.wrong(f"its {name} is another than an earlier model's: all models share one")
    return secrets


def _given(models: Models) -> list[Decision]:
    said = [f"{len(models.asked.entries)} models, by {', '.join(models.asked.files)}", f"{FLAG} names the files"]
    found = []
    for name, note in zip(models.given, said, strict=False):
        action = "ours" if note == said[0] else "drop"
        found.append(Decision(name, "env" if name == VARIABLE else "flag", None, action, "", note))  # type: ignore[arg-type]
    return [*found, *(Decision(name, "flag", value, "ours", target, "") for name, value, target in models.options)]


def _warnings(built: Sequence[Built], front: Plan) -> list[str]:
    """Each once: what all models share is said by all."""
    said = list(front.warnings)
    found: list[str] = []
    for one in built:
        for warning in one.draft.warnings if one.draft else ():
            if warning not in said:
                said.append(warning)
                found.append(f"{one.names[0]}: {warning}")
    return found
