"""Which weights SGLang was given last: one that is started again has forgotten them and answers by its first.
Owned by `middleware.weights.update`, which notes each load, and loads them again before the first request.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

DEFAULT_VERSION = "default"  # vLLM's and SGLang's word for the weights of the start
LIFTED = "Requests are refused until POST /update_weights or /reload_weights."


class Load(NamedTuple):
    place: Path
    version: str


class Kept:
    """kept.note(Path("/data/step_12"), "step_12")
    kept.lost(info, home)   # what must be loaded again, or None

    `info` is SGLang's /model_info, `home` the model's folder.
    """

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last: Load | None = None

    def note(self, place: Path, version: str) -> None:
        self._last = Load(place, version)

    def rename(self, version: str) -> None:
        if self._last is not None:
            self._last = self._last._replace(version=version)

    def lost(self, info: Mapping[str, Any], home: Path | None) -> Load | None:
        """SGLang 0.5.23 tells as `model_path` where its weights were loaded from last."""
        there = info.get("model_path")
        if self._last is None:
            self._learn(there, info)
            return None
        return None if there == str(self._last.place) or home == self._last.place else self._last

    def _learn(self, there: Any, info: Mapping[str, Any]) -> None:
        """We were started again, and SGLang was not: it knows what it was given."""
        version = info.get("weight_version")
        if isinstance(there, str) and there.startswith("/") and isinstance(version, str) and version != DEFAULT_VERSION:
            self.note(Path(there), version)


def refusal(load: Load, why: str) -> str:
    """For every request, where they could not be loaded again."""
    return (
        f"The engine was started again and has the weights of its start, not those of {load.version!r}, which cannot be"
        f" loaded again ({why}). {LIFTED}"
    )
