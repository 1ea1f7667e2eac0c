"""What Kubernetes itself does to a container's environment and command: valueFrom, envFrom, and `$(NAME)`.
The readers of Helm values and of manifests share it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from operate.found import stand_in
from operate.tree import Node

REFERENCE = re.compile(r"\$(\$|\(([A-Za-z_.-][\w.-]*)\))")

ConfigMaps = Mapping[str, Mapping[str, str]]


def expand(words: Sequence[str], env: Mapping[str, str]) -> tuple[tuple[str, ...], list[str]]:
    """`$(NAME)` becomes its value, `$$` a dollar sign, and an unknown name stays as it is, with a note."""
    unknown: dict[str, None] = {}

    def value(match: re.Match[str]) -> str:
        name = match[2]
        if name is None:
            return "$"
        if name in env:
            return env[name]
        unknown[name] = None
        return match[0]

    expanded = tuple(REFERENCE.sub(value, word) for word in words)
    return expanded, [f"$({name}) is set by nothing that can be read here, and stays as it is" for name in unknown]


def variables(
    entries: Node, configmaps: ConfigMaps | None = None, known: Mapping[str, str] | None = None
) -> dict[str, str]:
    """A container's `env`. Raises Unreadable for what Kubernetes would not take."""
    env: dict[str, str] = {}
    for entry in entries:
        name = entry["name"].exact()
        if entry["valueFrom"]:
            env[name] = _from(entry["valueFrom"], configmaps or {})
        elif entry["value"].value is None:
            env[name] = ""
        else:
            (env[name],), _ = expand([entry["value"].exact()], {**(known or {}), **env})
    return env


def env_from(sources: Sequence[tuple[str, str]], configmaps: ConfigMaps) -> tuple[dict[str, str], list[str]]:
    """A container's `envFrom`, as (kind, name): what is known of it, and what is not."""
    env: dict[str, str] = {}
    notes = []
    for kind, name in sources:
        if kind == "configmap" and name in configmaps:
            env |= configmaps[name]
        else:
            notes.append(f"the variables of the {kind} {name} are not known here")
    return env, notes


def _from(source: Node, configmaps: ConfigMaps) -> str:
    if secret := source["secretKeyRef"]:
        return stand_in("secret", secret["name"].label("?"))
    if configmap := source["configMapKeyRef"]:
        name, key = configmap["name"].label("?"), configmap["key"].label("?")
        return configmaps.get(name, {}).get(key, stand_in("configmap", name))
    if field := source["fieldRef"]:
        return stand_in("field", field["fieldPath"].label("?"))
    return stand_in("resource", source["resourceFieldRef"]["resource"].label("?"))
