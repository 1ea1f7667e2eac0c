"""A folder of new weights, looked at before SGLang is sent there: whole, and of this model, by its files' indexes.
Called by `middleware.weights.update`. SGLang 0.5.23 ends itself over half a file, and takes a wrong one in silence.
"""

import os
import re
import stat
import struct
from collections.abc import Iterator
from pathlib import Path

import msgspec

INDEX = "model.safetensors.index.json"
LARGEST_INDEX = 100_000_000  # bytes, as safetensors itself has it
LARGEST_MAP = 256 * 1024 * 1024
# Packed numbers have other shapes than the floats they are made of.
_FLOATS = frozenset({"F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"})
_PART = re.compile(r"(?P<stem>.+)-\d+-of-(?P<of>\d{1,9})\.safetensors", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class NotThere(Exception):
    """It may still come: files of a network arrive late. The message is one sentence."""


class Unfit(Exception):
    """It will never do. The message is one sentence."""


class Tensor(msgspec.Struct):
    dtype: str
    shape: list[int]
    data_offsets: tuple[int, int]


class _Map(msgspec.Struct):
    weight_map: dict[str, str]


def folder(name: str) -> Path:
    """Raises Unfit for what is no folder's name: SGLang would ask the hub for a model that is called so."""
    if not name.startswith("/") or _CONTROL.search(name):
        raise Unfit(
            f"{name[:200]!r} is no absolute path: give the folder's path in this container, such as /data/step_1"
        )
    return Path(name)


def require(place: Path, model: Path | None) -> None:
    """Raises NotThere or Unfit; `model` is the folder of the model that is served, if it is here."""
    try:
        new = dict(_tensors(place))
    except OSError as failure:
        raise NotThere(f"{place} cannot be read: {failure.strerror}") from failure
    try:
        known = dict(_tensors(model)) if model is not None else {}
    except (OSError, NotThere):
        known = {}
    if known and not known.keys() & new.keys():
        raise Unfit(f"none of the {len(new)} tensors in {place} has a name that is in the model that is served")
    for name, tensor in new.items():
        old = known.get(name)
        if old is not None and {old.dtype, tensor.dtype} <= _FLOATS and old.shape != tensor.shape:
            shapes = f"the shape {tensor.shape} in {place}, and {old.shape} in the model that is served"
            raise Unfit(f"{name[:200]!r} has {shapes}")


def _tensors(place: Path) -> Iterator[tuple[str, Tensor]]:
    if not place.is_dir():
        raise NotThere(
            f"there is no folder {place} in this container: nothing has been written yet, or no volume is there"
        )
    for path in _files(place):
        yield from _index(path).items()


def _files(place: Path) -> list[Path]:
    """As SGLang chooses: those that the index names, or all."""
    found = sorted(place.glob("*.safetensors"))
    try:
        named = msgspec.json.decode(_read(place / INDEX, LARGEST_MAP), type=_Map).weight_map.values()
    except FileNotFoundError:
        if not found:
            raise NotThere(f"{place} holds no .safetensors file") from None
        _all_parts(place, {path.name for path in found})
        return found
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as failure:
        raise NotThere(f"{place / INDEX} is not whole") from failure
    wanted = sorted({place / Path(name).name for name in named})
    if lost := sorted(set(wanted) - set(found)):
        raise NotThere(f"{lost[0]} is not there yet, which {INDEX} names")
    return wanted


def _all_parts(place: Path, names: set[str]) -> None:
    """Who writes several files writes the index last: until then some may be missing."""
    for name in sorted(names):
        if part := _PART.fullmatch(name):
            stem, of = part["stem"], part["of"]
            wanted = (f"{stem}-{number:0{len(of)}d}-of-{of}.safetensors" for number in range(1, min(int(of), 9999) + 1))
            if lost := next((one for one in wanted if one not in names), None):
                raise NotThere(f"{place / lost} is not there yet, a part of {of}")


def _index(path: Path) -> dict[str, Tensor]:
    """Raises NotThere for a file that is shorter than it says."""
    with open(path, "rb", opener=_opened) as file:
        size = _size(file.fileno(), path)
        head = file.read(8)
        length = struct.unpack("<Q", head)[0] if len(head) == 8 else LARGEST_INDEX + 1
        if length > min(LARGEST_INDEX, size):
            raise NotThere(f"{path} is not whole")
        try:
            raw = msgspec.json.decode(file.read(length), type=dict[str, msgspec.Raw])
            raw.pop("__metadata__", None)
            found = {name: msgspec.json.decode(each, type=Tensor) for name, each in raw.items()}
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as failure:
            raise NotThere(f"{path} is not whole") from failure
    if size < 8 + length + max((tensor.data_offsets[1] for tensor in found.values()), default=0):
        raise NotThere(f"{path} is not whole")
    return found


def _read(path: Path, limit: int) -> bytes:
    with open(path, "rb", opener=_opened) as file:
        _size(file.fileno(), path)
        return file.read(limit)


def _size(number: int, path: Path) -> int:
    told = os.fstat(number)
    if not stat.S_ISREG(told.st_mode):
        raise NotThere(f"{path} is no file")
    return told.st_size


def _opened(path: str, flags: int) -> int:
    """A FIFO without a writer is no reason to wait."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)
