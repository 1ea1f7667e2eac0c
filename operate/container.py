"""One container of a manifest to the engines that it starts: its command and args as Kubernetes and the image's
ENTRYPOINT put them together. `manifest` calls it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from operate import program
from operate.found import Found, Unreadable
from operate.kubernetes import ConfigMaps, env_from, expand, variables
from operate.tree import Node

ENTRYPOINT = ("vllm", "serve")  # of this image, and of vLLM's own
IMAGE = re.compile(r"^vllm$|^vllm[-_](?!.*(?:router|exporter|operator|sidecar))|[-_]vllm$")
NO_COMMAND = (
    "it has no command, and its args repeat the program: the ENTRYPOINT of the image is `vllm serve`, so that args are"
    " what follows it; move the program to command"
)
UNREAD = "its image is vLLM's, and its command runs a script that cannot be read here; check its command line after --"
RAY = (
    "KubeRay runs `ray start` in it: SGLang does not run inside a vLLM Ray cluster; for several nodes start one replica"
    " a node"
)


def engines(one: Node, source: str, known: ConfigMaps, given: Mapping[str, str]) -> list[Found]:
    """None for a container that runs something else."""
    try:
        return _engines(one, source, known, given)
    except Unreadable as error:
        # A mistake in a container of something else is none of ours.
        return [Found(source, problem=str(error))] if _is_vllm(one) else []


def under_ray(one: Node, source: str, known: ConfigMaps) -> list[Found]:
    found = engines(one, source, known, {})
    with_command = [engine for engine in found if engine.argv and engine.argv != ENTRYPOINT]
    return with_command or ([Found(source, problem=RAY)] if _is_vllm(one) else [])


def _engines(one: Node, source: str, known: ConfigMaps, given: Mapping[str, str]) -> list[Found]:
    shared, notes = env_from(_sources(one), known)
    env = {**shared, **given}
    env |= variables(one["env"], known, env)
    command, unknown = expand([word.exact() for word in one["command"]], env)
    args, unknown_too = expand([word.exact() for word in one["args"]], env)
    if not command and _has_image_of_vllm(one):
        if program.find(args, env).commands:
            return [Found(source, problem=NO_COMMAND)]
        return [Found(source, (*ENTRYPOINT, *args), env, (*notes, *unknown_too))]
    run = program.find((*command, *args), env)
    if not run.commands:
        return [Found(source, problem=UNREAD)] if run.is_unread and _has_image_of_vllm(one) else []
    # In a script, $(date) is a command.
    notes += run.notes if run.by_shell else (*unknown, *unknown_too)
    return [Found(source, found.argv, found.env, tuple(dict.fromkeys(notes))) for found in run.commands]


def _sources(one: Node) -> list[tuple[str, str]]:
    found = []
    for entry in one["envFrom"]:
        for key, kind in (("configMapRef", "configmap"), ("secretRef", "secret")):
            if entry[key]:
                found.append((kind, entry[key]["name"].label("?")))
    return found


def _has_image_of_vllm(one: Node) -> bool:
    image = one["image"].value
    if not isinstance(image, str):
        return False
    return IMAGE.search(image.split("@")[0].rpartition("/")[2].split(":")[0]) is not None


def _is_vllm(one: Node) -> bool:
    words = [word for key in ("command", "args") if isinstance(one.value.get(key), list) for word in one.value[key]]
    said = any(isinstance(word, str) and re.search(r"\bvllm\b", word) for word in words)
    return said or _has_image_of_vllm(one)
