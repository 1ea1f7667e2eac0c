"""What would only show after the start, said before it: models, templates and programs that are not there.
`__main__` calls `check`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from itertools import pairwise

from shims import files, front_door
from shims.engines import Engine
from shims.exceptions import StartError
from shims.plan import Plan

LOCAL = ("/", "./", "../", "~")


def check(chosen: Plan) -> None:
    """Raises StartError."""
    if chosen.front_door:
        front_door.check(chosen)
    check_engines(chosen)


def check_engines(chosen: Plan) -> None:
    """Raises StartError."""
    for engine in chosen.engines:
        model = engine.model
        if model.startswith(LOCAL) and (why := files.absence(model)):
            raise StartError(f"the model folder {model} {why} in this container: check the path and its volume")
    for template in _templates(chosen):
        if why := files.unreadable(template):
            raise StartError(f"the file {template} {why}, and it is no inline template either")
    for engine in chosen.engines:
        logging_config = engine.env.get("SGLANG_LOGGING_CONFIG_PATH")
        if logging_config and chosen.facts.logging_config is None:
            raise StartError(
                f"VLLM_LOGGING_CONFIG_PATH: {logging_config} cannot be read as JSON: check it and its volume"
            )
    for engine in {engine.argv[:3]: engine for engine in chosen.engines}.values():
        _can_be_run(engine)


def _can_be_run(engine: Engine) -> None:
    program, *rest = engine.argv
    name = f"the command of {engine.name}" if engine.stop_as_group else "VLLM_SHIM_ENGINE"
    if shutil.which(program) is None:
        raise StartError(f"{name}: the command '{program}' was not found")
    if rest[:1] == ["-m"] and len(rest) > 1 and not engine.stop_as_group:
        package = rest[1].partition(".")[0]
        probe = f"import importlib.util as u, sys; sys.exit(u.find_spec({package!r}) is None)"
        where = shutil.which(program)
        try:
            found = subprocess.run([program, "-c", probe], check=False, env=_environment(engine)).returncode == 0
        except OSError as error:
            raise StartError(f"{name}: {where} cannot be run: {files.reason(error)}") from error
        if not found:
            raise StartError(
                f"SGLang is not installed for {where} (no package '{package}'):"
                " set VLLM_SHIM_ENGINE to the command that starts it, or `make engine` for the CPU engine"
            )


def _templates(chosen: Plan) -> Iterator[str]:
    """Chat templates that are files of the operator's: those that are copied, and those that SGLang is pointed to."""
    yield from (file.source for file in chosen.files if file.source is not None)
    ours = {f"{chosen.facts.run_dir}/{file.name}" for file in chosen.files}
    words = (pair for engine in chosen.engines for pair in pairwise(engine.argv))
    named = (value for flag, value in words if flag == "--chat-template")
    yield from (path for path in named if "/" in path and path not in ours)


def _environment(engine: Engine) -> dict[str, str]:
    return {name: value for name, value in {**os.environ, **engine.env}.items() if name not in engine.unset}
