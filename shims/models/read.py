"""A models file of our own form, by the table of `keys`. `sources` calls it for a FILE that is neither a script nor
llama-swap's; whatever it holds that no key takes is an error that names the line.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

from shims.models import keys
from shims.models.document import Node
from shims.models.entry import Asked, Entry, Limits
from shims.models.keys import Key

EITHER = "a model has `serve`, what stands after `vllm serve`, or `cmd`, another server's command"
ONLY_CMD = ("health",)
ONLY_SERVE = ("tier",)  # what is no SGLang knows no sleep: it is stopped


def read(root: Node) -> Asked:
    """Raises CommandLineError."""
    listed = root.get("models")
    given = {} if root.value is None else _by_table(root, keys.TOP, "a models file")
    if listed is None or not (listed.value and isinstance(listed.value, list)):
        raise root.wrong("no models: give `models:` and a list of at least one, `- serve: MODEL` each")
    return Asked(tuple(map(_entry, listed.each())), files=(root.file,), **given)


def _entry(node: Node) -> Entry:
    values = _by_table(node, keys.MODEL, "a model")
    limits = node.get("limits")
    if limits is not None:
        values["limits"] = Limits(**_by_table(limits, keys.LIMITS, "limits"))
    if ("serve" in values) == ("cmd" in values):
        raise node.wrong(EITHER)
    lines = {key: one.key_line for key, one in node.items()}
    if limits is not None:
        lines |= {f"limits.{key}": one.key_line for key, one in limits.items()}
    found = Entry(file=node.file, line=node.line, lines=lines, **values)
    _check(found, values)
    return found


def _check(entry: Entry, given: dict[str, Any]) -> None:
    if not (entry.serve if entry.cmd is None else entry.cmd):
        key = "serve" if entry.cmd is None else "cmd"
        raise entry.wrong(f"{key} is empty: {EITHER}", key)
    for key in ONLY_CMD if entry.cmd is None else ONLY_SERVE:
        if key in given and given[key] != "stopped":
            which = (
                "a `cmd`" if entry.cmd is None else "a `serve`; another server is stopped when others need its place"
            )
            raise entry.wrong(f"{key} is for {which}: leave it out", key)
    if entry.cmd is not None and not entry.port and not any("${PORT}" in word for word in entry.cmd):
        raise entry.wrong("a `cmd` needs its port: give `port:`, or put ${PORT} where the command takes it", "cmd")
    if entry.cmd is not None and not entry.name:
        raise entry.wrong("a `cmd` needs a name: give `name:`, which requests name it by", "cmd")
    if entry.memory_gib and not entry.devices:
        raise entry.wrong("memory_gib is of its devices: give `devices:` too", "memory_gib")


def _by_table(node: Node, table: Sequence[Key], what: str) -> dict[str, Any]:
    known = {key.name: key for key in table}
    values: dict[str, Any] = {}
    for name, value in node.items():
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"it has {', '.join(known)}"
            raise Node(None, node.file, value.key_line).wrong(f"{what} has no key {name!r:.60}: {hint}")
        if value.value is not None and known[name].kind.schema:
            values[name] = known[name].kind.read(value)
    return values
