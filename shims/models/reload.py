"""The models of a server that runs, read again: the same command line and environment, the ports that they have, the
machine as it was at the start. `operate.reload` calls `plan`; nothing is written here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
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
    return json.dumps({"words": chosen.words, "middleware": chosen.ports.middleware, "facts": facts}, indent=1)


def plan(folder: Path, env: Mapping[str, str]) -> Plan:
    """`env`: supervisord's. Raises ShimError."""
    # Only here: `render_config`, which every start imports, asks for `record` alone.
    from shims.models import command, several  # noqa: PLC0415
    from switcher import spec  # noqa: PLC0415

    try:
        start = json.loads((folder / WORDS).read_bytes())
        mux = spec.read((folder / "models.json").read_bytes())
    except (OSError, ValueError) as error:
        raise StartError(f"{folder} serves no several models: there is nothing to read again") from error
    env = {**env, "VLLM_SHIM_RUN_DIR": str(folder), "VLLM_SHIM_MIDDLEWARE_PORT": str(start["middleware"])}
    models = command.read(start["words"], env)
    reads = several.read(models)
    found = several.gather(models, reads)
    before = {member.name: member.port for member in mux.members}
    if mux.page_port:
        env["VLLM_SHIM_PAGE"] = str(mux.page_port)  # another one is that of the next start
    public = json.loads((folder / "plan.json").read_bytes())["ports"]["public"]
    ours = {*before.values(), start["middleware"], public, mux.page_port}
    found = replace(found, **start["facts"], taken_ports=found.taken_ports - ours)
    return several.make(models, reads, found, of_machine=True, before=before)
