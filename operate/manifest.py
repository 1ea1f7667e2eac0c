"""Kubernetes manifests to the engines in them: every container of every pod template, wherever the kind keeps it
(Deployment, StatefulSet, Job, LeaderWorkerSet, InferenceService, RayCluster, ...). `source` calls `engines`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from operate import container
from operate.found import Found, Unreadable
from operate.kubernetes import ConfigMaps
from operate.tree import Node

RAY_KINDS = ("RayCluster", "RayService", "RayJob")
DEEPEST = 40
MOST_NODES = 200_000

__all__ = ["ConfigMaps", "configmaps", "engines"]


def configmaps(documents: Iterable[Node]) -> ConfigMaps:
    """The ConfigMaps of the same file, by name: containers beside them may refer to them."""
    found: dict[str, dict[str, str]] = {}
    for document in documents:
        if document["kind"].value == "ConfigMap":
            data = document["data"].value
            texts = {str(k): v for k, v in data.items() if isinstance(v, str)} if isinstance(data, dict) else {}
            found[document["metadata"]["name"].label("")] = texts
    return found


def engines(document: Node, label: str, known: ConfigMaps) -> list[Found]:
    kind = document["kind"].label("document")
    metadata = document["metadata"].value
    name = Node(metadata)["name"].label("") if isinstance(metadata, dict) else ""
    pods = list(_pods(document))
    found = []
    for pod in pods:
        where = f", {pod.path}" if len(pods) > 1 else ""
        for number, one in enumerate(pod["containers"]):
            if not isinstance(one.value, dict):
                continue
            title = one["name"].label(str(number))
            source = f"{label}: {f'{kind} {name}'.strip()}{where}, container {title}"
            if kind in RAY_KINDS:
                started = container.under_ray(one, source, known)
            else:
                started = container.engines(one, source, known, _of_the_group(pod, document))
            found += [replace(engine, grace_seconds=_grace(pod)) for engine in started]
    return found


def _grace(pod: Node) -> int | None:
    seconds = pod["terminationGracePeriodSeconds"].value
    return seconds if type(seconds) is int else None


def _of_the_group(pod: Node, document: Node) -> dict[str, str]:
    """What the controller of a LeaderWorkerSet adds to every container."""
    if document["kind"].value != "LeaderWorkerSet":
        return {}
    metadata = document["metadata"]
    name, namespace = metadata["name"].label("group"), metadata["namespace"].label("default")
    return {
        "LWS_GROUP_SIZE": document["spec"]["leaderWorkerTemplate"]["size"].label("1"),
        "LWS_WORKER_INDEX": "1" if "workerTemplate" in pod.path else "0",
        "LWS_LEADER_ADDRESS": f"{name}-0.{name}.{namespace}",
    }


def _pods(document: Node) -> Iterator[Node]:
    """Each mapping with a list of containers. Bounded: an alias in YAML can make a document its own part."""
    waiting = [(document, 0)]
    seen = 0
    while waiting:
        node, depth = waiting.pop()
        seen += 1
        if seen > MOST_NODES:
            raise Unreadable("it is too large to be a manifest")
        if depth > DEEPEST:
            continue
        if isinstance(node.value, dict):
            if isinstance(node.value.get("containers"), list):
                yield node
            else:
                waiting += [(node[key], depth + 1) for key in reversed(node.value) if isinstance(key, str)]
        elif isinstance(node.value, list):
            waiting += [(item, depth + 1) for item in reversed(list(node))]
