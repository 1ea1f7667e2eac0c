"""The adapters that --lora-modules names, in vLLM's two forms: name=path, and JSON. Read by `flags.lora`, which refuses
what is neither, and by `facts`, which looks into the folders.
"""

from __future__ import annotations

from typing import Any

from shims.values import nested

FIELDS = ("name", "path", "base_model_name", "is_3d_lora_weight")


def module(item: str) -> dict[str, str] | str:
    """Its name and its path, or what is wrong with it."""
    if "=" in item and "," not in item:
        name, _, path = item.partition("=")
        found: Any = {"name": name, "path": path}
    else:
        try:
            found = nested.loads(item)
        except nested.TooMuch as error:
            return f"{item!r:.80} {error}"
        except ValueError:
            return f"{item!r:.80} is neither name=path nor JSON"
    if not isinstance(found, dict) or not {"name", "path"} <= set(found) or set(found) - set(FIELDS):
        return f"{item!r:.80} is no object with name and path (and, if need be, {', '.join(FIELDS[2:])})"
    name, path = found["name"], found["path"]
    if not isinstance(name, str) or not isinstance(path, str) or not name.strip() or not path.strip():
        return f"{item!r:.80}: the name or the path is empty or no text"
    return {"name": name, "path": path} if name[0] != "-" else f"'{name}' is not a name: it begins with a dash"
