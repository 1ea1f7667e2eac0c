"""The small files beside a model's weights, for what SGLang has no route for: its tokenizer's words and settings.
Read by the endpoints that need them, off the event loop; `middleware.model` says where they lie.
"""

from pathlib import Path
from typing import Any

import msgspec

from middleware.locate import NotHere

# A tokenizer of 256,000 words is 33 MB; what is larger is none.
SIZE_LIMIT = 256 * 1024 * 1024


def read_json(folder: Path, name: str) -> dict[str, Any]:
    path = folder / name
    if not path.is_file():
        raise NotHere(f"{name} is not among the model's files.")
    try:
        if path.stat().st_size > SIZE_LIMIT:
            raise NotHere(f"{name} is too large to be read.")
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as failure:
        raise NotHere(f"{name} cannot be read.") from failure


def read_text(folder: Path, name: str) -> str | None:
    try:
        return (folder / name).read_text()
    except (OSError, UnicodeDecodeError):
        return None


def vocabulary_size(folder: Path) -> int:
    """Of the model, not of its tokenizer: an id beyond it ends the engine. Raises NotHere where it is not known."""
    return _number(folder, "vocab_size")


def experts_per_token(folder: Path) -> int:
    """How many of them a layer asks for each token. The same."""
    return _number(folder, "num_experts_per_tok")


def _number(folder: Path, name: str) -> int:
    config = read_json(folder, "config.json")
    for part in (config, config.get("text_config"), config.get("llm_config")):
        number = part.get(name) if isinstance(part, dict) else None
        if isinstance(number, int):
            return number
    raise NotHere(f"config.json names no {name}.")


def words(folder: Path) -> dict[int, str]:
    """The tokenizer's own writing of each id, as transformers' convert_ids_to_tokens has it."""
    document = read_json(folder, "tokenizer.json")
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
        raise NotHere("tokenizer.json has no vocabulary that can be read.")
    return known


def ids_by_bytes(folder: Path) -> dict[bytes, int]:
    """Of a tokenizer of bytes, as GPT-2's, each of whose words spells something else; of any other NotHere."""
    document = read_json(folder, "tokenizer.json")
    if not _is_of_bytes(document.get("decoder")):
        raise NotHere("its tokenizer is not one of bytes.")
    added = [token for token in document.get("added_tokens") or () if isinstance(token, dict)]
    named = {str(token.get("content")).encode(): token.get("id") for token in added}
    vocabulary: dict[str, int] = document["model"]["vocab"]
    spelled = {spelling: number for word, number in vocabulary.items() if (spelling := _spelling(word)) is not None}
    return spelled | {content: number for content, number in named.items() if isinstance(number, int)}


def _is_of_bytes(decoder: Any) -> bool:
    if not isinstance(decoder, dict):
        return False
    return decoder.get("type") == "ByteLevel" or any(map(_is_of_bytes, decoder.get("decoders") or ()))


def _spelling(word: str) -> bytes | None:
    """Bytes that cannot be seen are written as letters from 256 on."""
    try:
        return bytes(_BYTES[letter] for letter in word)
    except KeyError:
        return None


_SEEN = (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))
_UNSEEN = (byte for byte in range(256) if byte not in _SEEN)
_BYTES = {chr(byte): byte for byte in _SEEN} | {chr(256 + place): byte for place, byte in enumerate(_UNSEEN)}
