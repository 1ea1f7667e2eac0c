"""Where a model's files lie: a folder as it was named, or its place in the Hugging Face cache. Never downloads.
Asked by `middleware.model`, for all who read such a file.
"""

import os
from pathlib import Path

from middleware.policy import Policy


class NotHere(Exception):
    """There is no such folder, or no such file in it; the message is one sentence."""


class Locator:
    """folder = Locator(policy).folder(policy.model_path, "/where/sglang/has/it")

    The first of the names that is here. The cache may be filled later: ask again.
    """

    __slots__ = ("_cache", "_revision")

    def __init__(self, policy: Policy) -> None:
        self._cache = _cache(policy.download_dir)
        self._revision = policy.revision or "main"

    def folder(self, *names: str) -> Path:
        """Raises NotHere, which says so of the first."""
        failures = []
        for name in dict.fromkeys(name for name in names if name):
            try:
                return self._folder(name)
            except NotHere as failure:
                failures.append(failure)
        raise failures[0] if failures else NotHere("The engine has not told where the model is.")

    def _folder(self, model: str) -> Path:
        if "\0" not in model and (named := Path(model).expanduser()).is_dir():
            return named
        if model.startswith(("/", ".", "~")) or model.count("/") > 1 or "\0" in model:
            raise NotHere(f"There is no folder {model!r}.")
        repository = self._cache / f"models--{model.replace('/', '--')}"
        for commit in (_commit(repository / "refs" / self._revision), self._revision):
            if commit and (snapshot := repository / "snapshots" / commit).is_dir():
                return snapshot
        raise NotHere(f"The Hugging Face cache holds no {model} at revision {self._revision}.")


def _cache(download_dir: str) -> Path:
    if download_dir:
        return Path(download_dir).expanduser()
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if given := os.environ.get(name):
            return Path(given).expanduser()
    if home := os.environ.get("HF_HOME"):
        return Path(home).expanduser() / "hub"
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "huggingface" / "hub"


def _commit(ref: Path) -> str:
    try:
        with ref.open(encoding="ascii") as file:
            return file.read(100).strip()
    except (OSError, UnicodeError):
        return ""
