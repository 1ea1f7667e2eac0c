"""Which models of a llama-swap YAML are awake together, which are never put away, and which are started at first.
`llama_swap` asks; a name that is no model's is an error, as what was meant by it would be left out in silence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from shims.models import kinds
from shims.models.document import Node

SHARED = "models that share devices fit by `memory_gib` and `group`"


@dataclass(slots=True)
class Groups:
    together: dict[str, str] = field(default_factory=dict)  # a model to its group, where all of it fits at once
    kept: set[str] = field(default_factory=set)

    @property
    def slots(self) -> int | None:
        """Beside what is never put away there is room for one more, as llama-swap starts it. A group takes one."""
        alone = self.kept - self.together.keys()
        return 1 + len(alone) + len({self.together[name] for name in self.kept - alone}) if self.kept else None


def preloaded(root: Node, models: Node) -> set[str]:
    found = root.get("hooks")
    for key in ("on_startup", "preload"):
        found = found and found.get(key)
    aliases = {
        alias: name
        for name, node in models.items()
        if (given := node.get("aliases"))
        for alias in kinds.NAMES.read(given)
    }
    return set(_listed(found, {**aliases, **{name: name for name, _ in models.items()}})) if found else set()


def _listed(node: Node, models: Mapping[str, str]) -> list[str]:
    """The models that are meant. Raises CommandLineError."""
    for one in node.each():
        if one.word() not in models:
            raise one.wrong(f"{node.name} names {one.text!s:.60}, which is no model: give one of {', '.join(models)}")
    return [models[one.word()] for one in node.each()]


def groups(root: Node, models: Node, notes: list[str]) -> Groups:
    """`swap: false` is the operator's word that its members fit together; `persistent` ones are never put away."""
    made, found = Groups(), root.get("groups")
    for name, node in found.items() if found else ():
        members = node.get("members")
        if members is None:
            raise Node(None, node.file, node.key_line).wrong(f"the group {name} has no members: list its models")
        swap, persistent, exclusive = (node.get(key) for key in ("swap", "persistent", "exclusive"))
        listed = _listed(members, {model: model for model, _ in models.items()})
        if swap is not None and swap.value is False:
            made.together |= dict.fromkeys(listed, name)
        if persistent is not None and persistent.value is True:
            made.kept |= set(listed)
        if exclusive is not None and exclusive.value is False:
            notes.append(f"{exclusive.file}:{exclusive.key_line}: exclusive: false is not taken over: {SHARED}")
    return made
