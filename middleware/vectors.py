"""How a vector of numbers is written in an answer: as numbers, in base64 or as bytes, of one width or another.
Used by /v1/embeddings, /pooling and /v2/embed; SGLang gives float32, little-endian, in base64.
"""

import array
import base64
import struct
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from middleware.form import Form

FORMATS = ("float", "base64", "bytes", "bytes_only")
DTYPES = ("float32", "float16", "bfloat16", "fp8_e4m3", "fp8_e5m2")
ENDIANNESS = ("native", "big", "little")
_WIDTHS = {"float32": 4, "float16": 2, "bfloat16": 2}
# A list of vectors in an answer, for `filled`: JSON that is written here has no other ends of lines.
LIST = msgspec.Raw(b"[\n]")


@dataclass(frozen=True, slots=True)
class Writing:
    """What a request asks of its vectors."""

    encoding: str
    dtype: str
    endianness: str

    @property
    def as_it_comes(self) -> bool:
        """Whether SGLang's own base64 is what is asked for."""
        return self.encoding == "base64" and self.dtype == "float32" and not self._swapped

    @property
    def _swapped(self) -> bool:
        return self.endianness not in ("native", sys.byteorder)

    def packed(self, vector: str) -> bytes:
        """From SGLang's base64 to the bytes that are asked for."""
        floats = floats_of(vector)
        numbers: array.array[Any]
        if self.dtype == "float32":
            numbers = array.array("f", floats)
        elif self.dtype == "float16":
            numbers = array.array("H", (struct.unpack("<H", struct.pack("<e", _half(number)))[0] for number in floats))
        else:
            numbers = array.array("H", (_upper_half(bits) for bits in array.array("I", floats.tobytes())))
        if self._swapped:
            numbers.byteswap()
        return numbers.tobytes()

    def base64(self, vector: str) -> str:
        return vector if self.as_it_comes else base64.b64encode(self.packed(vector)).decode("ascii")


def writing(form: Form) -> Writing:
    return Writing(
        form.choice("encoding_format", "float", FORMATS),
        form.choice("embed_dtype", "float32", DTYPES),
        form.choice("endianness", "native", ENDIANNESS),
    )


def supported(asked: Writing) -> bool:
    """Eight bits are not enough for anybody who was seen to ask; float answers are never packed."""
    return asked.encoding == "float" or asked.dtype in _WIDTHS


def floats_of(vector: str) -> "array.array[float]":
    numbers = array.array("f", base64.b64decode(vector))
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def filled(whole: object, lists: Iterable[Iterable[bytes]]) -> bytes:
    """As JSON, with each LIST in it filled; unlike an encoder `join` lets go of the interpreter while it copies."""
    first, *shell = msgspec.json.encode(whole).split(b"\n")
    parts = [first]
    for pieces, after in zip(lists, shell, strict=True):
        parts += [part for piece in pieces for part in (b",", piece)][1:]
        parts.append(after)
    return b"".join(parts)


def metadata(pieces: list[bytes], asked: Writing) -> list[dict[str, object]]:
    """Where each vector lies in an answer of bytes."""
    items: list[dict[str, object]] = []
    start = 0
    for index, piece in enumerate(pieces):
        end = start + len(piece)
        items.append(
            {
                "index": index,
                "embed_dtype": asked.dtype,
                "endianness": asked.endianness,
                "start": start,
                "end": end,
                "shape": [len(piece) // _WIDTHS[asked.dtype]],
            }
        )
        start = end
    return items


def _half(number: float) -> float:
    """Beyond float16 is infinity, where Python's struct would raise."""
    if number >= 65520.0:
        return float("inf")
    return float("-inf") if number <= -65520.0 else number


def _upper_half(bits: int) -> int:
    """float32 to bfloat16, rounded to the nearest, ties to even."""
    if bits & 0x7FFFFFFF > 0x7F800000:  # Not a number, and it must stay one.
        return (bits >> 16) | 0x40
    return (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
