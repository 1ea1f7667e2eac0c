"""Where a model's files lie: a folder as it was named, or its place in the Hugging Face cache. Never downloads.
Called by the middleware when it makes its `prompt.files.TokenizerFiles`.
"""

from collections.abc import Mapping
from pathlib import Path

from middleware.prompt.failures import CannotRender


def folder_of(
    model: str, revision: str | None, environment: Mapping[str, str], download_dir: str | None = None
) -> Path:
    """`model` as on vLLM's command line; `environment` names the cache. The cache may be filled later: ask again."""
    named = Path(model).expanduser()
    if named.is_dir():
        return named
    if model.startswith(("/", ".", "~")) or model.count("/") > 1 or "\0" in model:
        raise CannotRender(f"There is no folder {model!r}.")
    cache = _cache(environment, download_dir) / f"models--{model.replace('/', '--')}"
    wanted = revision or "main"
    for commit in (_commit(cache / "refs" / wanted), wanted):
        if commit and (snapshot := cache / "snapshots" / commit).is_dir():
            return snapshot
    raise CannotRender(f"The Hugging Face cache holds no {model} at revision {wanted}.")


def _cache(environment: Mapping[str, str], download_dir: str | None) -> Path:
    if download_dir:
        return Path(download_dir).expanduser()
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if environment.get(name):
            return Path(environment[name]).expanduser()
    if environment.get("HF_HOME"):
        return Path(environment["HF_HOME"]).expanduser() / "hub"
    home = environment.get("XDG_CACHE_HOME") or f"{environment.get('HOME', '~')}/.cache"
    return Path(home).expanduser() / "huggingface" / "hub"


def _commit(ref: Path) -> str:
    try:
        with ref.open(encoding="ascii") as file:
            return file.read(100).strip()
    except (OSError, UnicodeError):
        return ""
