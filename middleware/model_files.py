"""The small files beside a model's weights, for what SGLang has no route for: its tokenizer's words and settings.
Read by the endpoints that need them, off the event loop; a name of the hub is looked up in the hub's cache.
"""

import os
from pathlib import Path
from typing import Any

import msgspec

# A tokenizer of 256,000 words is 33 MB; what is larger is none.
SIZE_LIMIT = 256 * 1024 * 1024


class NoFile(Exception):
    """The model has no such file here; the message is one sentence."""


def read_json(model: str, name: str) -> dict[str, Any]:
    path = find(model, name)
    if path is None:
        raise NoFile(f"{name} is not among the model's files.")
    try:
        if path.stat().st_size > SIZE_LIMIT:
            raise NoFile(f"{name} is too large to be read.")
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as failure:
        raise NoFile(f"{name} cannot be read.") from failure


def read_text(model: str, name: str) -> str | None:
    path = find(model, name)
    try:
        return None if path is None else path.read_text()
    except (OSError, UnicodeDecodeError):
        return None


def find(model: str, name: str) -> Path | None:
    """In the model's folder, or in the newest snapshot of the hub's cache that has the file."""
    if not model:
        return None
    if Path(model).is_dir():
        return _file(Path(model) / name)
    try:
        snapshots = list((hub_cache() / f"models--{model.replace('/', '--')}" / "snapshots").iterdir())
        snapshots.sort(key=lambda folder: folder.stat().st_mtime, reverse=True)
    except OSError:
        return None
    return next((path for folder in snapshots if (path := _file(folder / name)) is not None), None)


def _file(path: Path) -> Path | None:
    return path if path.is_file() else None


def hub_cache() -> Path:
    if cache := os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE"):
        return Path(cache)
    home = os.environ.get("HF_HOME")
    return (Path(home) if home else Path.home() / ".cache/huggingface") / "hub"


def vocabulary_size(model: str) -> int:
    """Of the model, not of its tokenizer: an id beyond it ends the engine. 0 where it is not known."""
    try:
        config = read_json(model, "config.json")
    except NoFile:
        return 0
    for part in (config, config.get("text_config"), config.get("llm_config")):
        size = part.get("vocab_size") if isinstance(part, dict) else None
        if isinstance(size, int):
            return size
    return 0


def words(model: str) -> dict[int, str]:
    """The tokenizer's own writing of each id, as transformers' convert_ids_to_tokens has it."""
    document = read_json(model, "tokenizer.json")
    known: dict[int, str] = {}
    model_part = document.get("model")
    vocabulary = model_part.get("vocab") if isinstance(model_part, dict) else None
    if isinstance(vocabulary, dict):
        known = {number: word for word, number in vocabulary.items() if isinstance(number, int)}
    elif isinstance(vocabulary, list):  # Unigram: pairs of a word and its score.
        known = {number: pair[0] for number, pair in enumerate(vocabulary) if isinstance(pair, list) and pair}
    for added in document.get("added_tokens") or ():
        if isinstance(added, dict) and isinstance(added.get("id"), int):
            known[added["id"]] = str(added.get("content"))
    if not known:
        raise NoFile("tokenizer.json has no vocabulary that can be read.")
    return known
