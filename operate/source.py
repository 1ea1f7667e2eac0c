"""Which engines a file starts: decides for each document of it what it is, and asks the reader of that kind.
`check` calls `engines` for every file that it was given.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from operate import documents, helm, manifest, runtime
from operate.found import Found, Unreadable
from operate.manifest import ConfigMaps
from operate.tree import Node

LOOKED_FOR = (
    "no engine in it; looked for servingEngineSpec.modelSpec (the production stack's Helm values), a VLLMRuntime, and"
    " containers that run vLLM (`vllm serve`, `python3 -m vllm.entrypoints.openai.api_server`, or an image of vLLM's)"
)
MOST_DOCUMENTS = 10_000


@dataclass(frozen=True, slots=True)
class Reading:
    engines: tuple[Found, ...]
    absent: str = ""  # why there is none, if that is what the file says


def engines(name: str) -> Reading:
    """Raises Unreadable."""
    label = "standard input" if name == documents.STDIN else name
    expanded = list(_expanded(documents.read(name)))
    configmaps = manifest.configmaps(expanded)
    found: list[Found] = []
    absent = ""
    for document in expanded:
        values = _values(document)
        if values is not None:
            found += helm.engines(values, label)
            absent = absent or helm.switched_off(values)
        else:
            found += _of_kubernetes(document, label, configmaps)
    if not found and not absent:
        raise Unreadable(LOOKED_FOR)
    return Reading(tuple(found), "" if found else absent)


def _of_kubernetes(document: Node, label: str, configmaps: ConfigMaps) -> list[Found]:
    if document["kind"].value == runtime.KIND:
        return [runtime.engine(document, label)]
    return manifest.engines(document, label, configmaps)


def _values(document: Node) -> Node | None:
    """The values of the chart, at the top or, for a chart that has it as a dependency, one level below."""
    if "kind" in document:
        return None
    below = (Node(value, str(key)) for key, value in document.value.items())
    return next((node for node in (document, *below) if "servingEngineSpec" in node), None)


def _expanded(raw: list[Any]) -> Iterator[Node]:
    """The documents, and the items of each List in place of it."""
    waiting = [Node(document) for document in reversed(raw)]
    seen = 0
    while waiting:
        document = waiting.pop()
        seen += 1
        if seen > MOST_DOCUMENTS:
            raise Unreadable(f"it holds more than {MOST_DOCUMENTS} documents")
        if not isinstance(document.value, dict):
            continue
        if document["kind"].label("").endswith("List") and isinstance(document["items"].value, list):
            waiting += [Node(item) for item in reversed(document["items"].value)]
        else:
            yield document
