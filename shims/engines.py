"""The command line and the environment of one SGLang, of a finished translation. `plan` and `models` make their engines
here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shims.environment.families import MULTIPROC_DIR
from shims.flags.draft import Draft

# Where the API keys travel: the environment of the middleware, and of nothing else.
KEYS_VARIABLE = "VLLM_SHIM_API_KEYS"
NOT_FOR_THE_ENGINE = (KEYS_VARIABLE, "VLLM_API_KEY")
ENGINE = "sglang"


@dataclass(frozen=True, slots=True)
class Engine:
    """One SGLang: `env` is what is set for it beside the container's environment, `unset` what is taken away."""

    name: str
    port: int
    argv: tuple[str, ...]
    env: Mapping[str, str]
    unset: tuple[str, ...] = ()
    model: str = ""  # what SGLang loads: a folder or a name on the hub
    stop_as_group: bool = False  # another's command, whose first process may be a shell that passes no signal on


def of(draft: Draft, command: Sequence[str], name: str, port: int, run_dir: str) -> Engine:
    """`command` starts SGLang; the flags follow."""
    house = {
        "--model-path": (draft.model,),
        "--served-model-name": (draft.served_names[0],),
        "--host": ("127.0.0.1",),
        "--port": (str(port),),
    }
    flags = [part for flag, values in {**house, **draft.engine_args}.items() for part in _words(flag, values)]
    # SGLang would take the address in SGLANG_PORT for its port.
    links = [name for name in draft.service_links if name.startswith("SGLANG_") and name not in draft.engine_env]
    emptied = [name for name in draft.engine_unset if name not in draft.engine_env]
    env, unset = dict(draft.engine_env), [*NOT_FOR_THE_ENGINE, *links, *emptied]
    env[MULTIPROC_DIR[0]] = f"{run_dir}/prometheus/{name}"
    _keep_the_shadow_away(draft, env, unset)
    return Engine(name, port, (*command, *flags), env, tuple(unset), draft.model)


def _words(flag: str, values: tuple[str, ...]) -> tuple[str, ...]:
    """One value that begins with a dash would be taken for a flag; argparse knows negative numbers."""
    if len(values) == 1 and values[0].startswith("-") and not values[0][1:].replace(".", "", 1).isdecimal():
        return (f"{flag}={values[0]}",)
    return (flag, *values)


def _keep_the_shadow_away(draft: Draft, env: dict[str, str], unset: list[str]) -> None:
    """SGLang 0.5.23 tries `import vllm` itself (fused MoE, custom all-reduce): it must not find our stubs."""
    shadow = f"{draft.facts.home}/shims/shadow"
    entries = draft.env.get("PYTHONPATH", "").split(":")
    if shadow in entries:
        rest = ":".join(entry for entry in entries if entry != shadow)
        if rest:
            env["PYTHONPATH"] = rest
        else:
            unset.append("PYTHONPATH")
