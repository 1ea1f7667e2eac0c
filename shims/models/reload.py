"""The models of a server that runs, read again: the same command line and environment, the ports that they have, the
machine as it was at the start. `operate.reload` calls `plan`; nothing is written here.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from shims.exceptions import StartError

if TYPE_CHECKING:
    from shims.plan import Plan

WORDS = "words.json"  # of the run directory
# What another process of the same machine would see differently.
AS_AT_THE_START = ("home", "log_dir", "shim_log", "python", "haproxy", "umask", "open_files", "is_root")


def record(chosen: Plan) -> str:
    facts = {name: getattr(chosen.facts, name) for name in AS_AT_THE_START}
    return json.dumps({"words": chosen.words, "ports": asdict(chosen.ports), "facts": facts}, indent=1)


def plan(folder: Path, env: Mapping[str, str], running: Collection[str]) -> Plan:
    """`env` and `running`, the names of its programs, are supervisord's. A process that is to be another is another
    program: until the old one has left, both are there, and nothing of its own is written over. Raises ShimError."""
    # Only here: `render_config`, which every start imports, asks for `record` alone.
    from shims.models import command, fitting, several  # noqa: PLC0415
    from shims.models.naming import Before  # noqa: PLC0415
    from switcher import spec  # noqa: PLC0415
    from switcher.roster import process  # noqa: PLC0415

    try:
        start = json.loads((folder / WORDS).read_bytes())
        front = start["ports"]
        mux = spec.read((folder / "models.json").read_bytes())
    except (OSError, ValueError) as error:
        raise StartError(f"{folder} serves no several models: there is nothing to read again") from error
    env = {**env, "VLLM_SHIM_RUN_DIR": str(folder), "VLLM_SHIM_MIDDLEWARE_PORT": str(front["middleware"])}
    if front["page"]:
        env["VLLM_SHIM_PAGE"] = str(front["page"])  # another one is that of the next start
    models = command.read(start["words"], env)
    reads = several.read(models)
    found = several.gather(models, reads)
    ports = {member.name: member.port for member in mux.members}
    ours = {*ports.values(), front["public"], front["middleware"], front["page"]}
    found = replace(found, **start["facts"], taken_ports=found.taken_ports - ours)
    slugs = {member.name: _slug(member.program) for member in mux.members}
    before = Before(ports, slugs, frozenset({*slugs.values(), *map(_slug, running)}))
    same = several.make(models, reads, found, of_machine=True, before=before)
    assert same.mux is not None
    old = set(map(process, mux.members))
    kept = {member.name: slugs[member.name] for member in same.mux.members if process(member) in old}
    chosen = several.make(models, reads, found, of_machine=True, before=replace(before, slugs=kept))
    assert chosen.mux is not None
    fitting.check_ports(models.asked.entries, chosen.mux, mux)
    return chosen


def _slug(program: str) -> str:
    return program.partition("-")[2]
