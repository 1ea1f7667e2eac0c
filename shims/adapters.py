"""Which of the adapters that the command line names SGLang cannot serve: over one that has q_proj without v_proj it
would end its start, and over another model's the first request. Read by `facts`, for folders that are here.
"""

from __future__ import annotations

from collections.abc import Iterable

from middleware import adapter_files
from shims.values import lora_modules


def unfit(items: Iterable[str | None], model: str) -> dict[str, str]:
    """By folder: why, as `adapter_files` puts it."""
    named = (lora_modules.module(item) for item in items if item)
    folders = [one["path"] for one in named if isinstance(one, dict)]
    return {folder: why for folder in folders if (why := adapter_files.unfit(folder, model))}
