"""One model of a file, translated: its SGLang by the same table as a server's only one, a script or another's command
as they are. `several` calls `build` for each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from middleware.policy import Policy
from shims import engines, settings
from shims.cli import CommandLine
from shims.engines import NOT_FOR_THE_ENGINE, Engine
from shims.exceptions import CommandLineError, Refused, ShimError
from shims.facts import Facts
from shims.flags import memory
from shims.flags.draft import Decision, Draft, PlanFile
from shims.flags.passed import ENGINE_ARGS
from shims.flags.translate import translate
from shims.flags.waivers import IGNORE_FLAGS, UNSUPPORTED
from shims.models import command, common, gpus, naming, sglangmux
from shims.models.command import Models
from shims.models.entry import Entry
from shims.redact import is_secret

ENGINE = "VLLM_SHIM_ENGINE"
OURS = "VLLM_SHIM_"
T = TypeVar("T")
OF_A_MEMBER = (ENGINE, ENGINE_ARGS, UNSUPPORTED, IGNORE_FLAGS)
NEAR = 1.02  # two ways to say the same memory, rounded
FOLDER = "members"  # of the run directory: files that a translation writes, one folder a member


@dataclass(frozen=True, slots=True)
class Read:
    """An entry whose own words are parsed, before anything is translated."""

    entry: Entry
    command: CommandLine | None  # None: no SGLang of ours
    left: tuple[Decision, ...] = ()


@dataclass(frozen=True, slots=True)
class Built:
    entry: Entry
    engine: Engine
    names: tuple[str, ...]
    policy: Policy
    draft: Draft | None = None  # of what was translated
    decisions: tuple[Decision, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[PlanFile, ...]:
        folder = f"{FOLDER}/{self.engine.name}"
        return tuple(replace(file, name=f"{folder}/{file.name}") for file in (self.draft.files if self.draft else ()))


def read(entry: Entry, models: Models) -> Read:
    """Raises ShimError, which names the line."""
    if entry.serve is None:
        return Read(entry, None)
    own, left = _of(entry, "serve", lambda: common.own(entry, command.of_member(entry.serve or ())))
    return Read(entry, command.together(models.common, own), left)


def environment(entry: Entry, env: Mapping[str, str]) -> dict[str, str]:
    """The container's with the member's own over it. Raises CommandLineError."""
    for name in entry.env:
        if is_secret(name):
            raise entry.wrong(f"env has {name}, a secret: set it in the container's environment, not in a file", "env")
        if name.startswith(OURS) and name not in OF_A_MEMBER:
            raise entry.wrong(f"env has {name}, which is of the whole server: set it in the container's", "env")
    return {**env, **entry.env}


def build(one: Read, models: Models, found: Facts, slug: str, port: int, device_memory: Mapping[int, float]) -> Built:
    """Raises ShimError, which names the line."""
    entry, env = one.entry, environment(one.entry, models.env)
    seen = gpus.of_process(entry.devices, found.places.architecture, env)
    if entry.cmd is not None:
        argv = tuple(word.replace("${PORT}", str(port)) for word in entry.cmd)
        engine = Engine(f"model-{slug}", port, argv, {**entry.env, **seen}, NOT_FOR_THE_ENGINE, stop_as_group=True)
        return Built(entry, engine, naming.served(entry, (), ""), Policy(), notes=entry.notes)
    program = f"sglang-{slug}"
    inside = replace(found, run_dir=str(Path(found.run_dir, FOLDER, program)))
    if one.command is None:
        return _script(entry, models, env, inside, found.run_dir, program, port, seen)
    given = one.command.last("--served-model-name") or ()
    draft = _of(entry, "serve", lambda: translate(one.command, env, inside))  # type: ignore[arg-type]
    if entry.devices is not None and draft.given("--device-ids") is not None:
        raise entry.wrong("--device-ids and devices are one thing said twice: leave the flag out", "serve")
    draft.served_names = naming.served(entry, draft.served_names if given else (), draft.model)
    _sleep(draft, entry)
    _share(draft, entry, device_memory)
    starts = settings.read(env, in_kubernetes=found.in_kubernetes).engine
    engine = engines.of(draft, starts, program, port, found.run_dir)
    engine = replace(engine, env={**entry.env, **engine.env, **seen})
    return Built(entry, engine, draft.served_names, draft.policy, draft, (*one.left, *draft.decisions), entry.notes)


def _script(
    entry: Entry,
    models: Models,
    env: Mapping[str, str],
    inside: Facts,
    run_dir: str,
    program: str,
    port: int,
    seen: Mapping[str, str],
) -> Built:
    """It runs as it is; what it gives SGLang is translated only to learn what the middleware has to know."""
    notes = list(entry.notes)
    try:
        own = command.together(models.common, CommandLine("serve", sglangmux.flags(entry), entry.name))
        draft = translate(own, env, inside)
    except ShimError as error:
        notes.append(f"what its SGLang can do is not known, tool calls are taken to have a parser: {error}")
        draft = translate(replace(models.common, positional=entry.name), env, inside)
        draft.ask(tool_parser=True, auto_tool_choice=True)
    _told(draft)
    draft.ask(model_path="")  # MODEL_NAME may be no path: SGLang tells it
    draft.files.clear()
    engine = engines.of(draft, (), program, port, run_dir)
    engine = replace(
        engine, argv=("bash", entry.script), env={**entry.env, **engine.env, **seen}, model="", stop_as_group=True
    )
    return Built(entry, engine, naming.served(entry, (), ""), draft.policy, draft, notes=tuple(notes))


def _sleep(draft: Draft, entry: Entry) -> None:
    if entry.tier != "stopped":
        draft.add("--enable-memory-saver", why=f"tier {entry.tier}: its memory is released while others are awake")
    if entry.tier == "cpu":
        draft.add("--enable-weights-cpu-backup", why="tier cpu: its weights wait in the host's memory")
    _told(draft)


def _told(draft: Draft) -> None:
    given = draft.engine_args
    draft.ask(sleep_mode="--enable-memory-saver" in given, weights_backup="--enable-weights-cpu-backup" in given)


def _share(draft: Draft, entry: Entry, device_memory: Mapping[int, float]) -> None:
    """`memory_gib` and vLLM's part of the GPU are one thing said twice: neither may be more than the other allows."""
    if not entry.memory_gib:
        return
    sizes = [device_memory[device] for device in entry.devices or () if device in device_memory]
    if not sizes:
        draft.warnings.append("memory_gib: how much its devices have is not known; give device_memory_gib")
        return
    part = entry.memory_gib / min(sizes)
    given = draft.given("--gpu-memory-utilization")
    if given is not None and given > part * NEAR:
        raise entry.wrong(
            f"--gpu-memory-utilization {given:g} of {min(sizes):g} GiB is {given * min(sizes):.1f} GiB, and memory_gib"
            f" is {entry.memory_gib:g}: make them agree, or leave the flag out",
            "memory_gib",
        )
    if given is None and (fraction := memory.fraction(part)) is not None:
        draft.add("--mem-fraction-static", fraction, why=f"memory_gib: {entry.memory_gib:g} of {min(sizes):g} GiB")


def _of(entry: Entry, key: str, make: Callable[[], T]) -> T:
    """With the line of the file in front of what is wrong with its words."""
    try:
        return make()
    except Refused as error:
        raise Refused([(f"{entry.at(key)}: {name}", why) for name, why in error.refusals]) from error
    except CommandLineError as error:
        raise CommandLineError(f"{entry.at(key)}: {error}") from error
