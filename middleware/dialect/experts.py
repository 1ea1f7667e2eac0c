"""Which experts each token was routed to: SGLang's numbers of 32 bits without a shape, in the form that prime-rl reads.
Called by `tokens_out` and `tokens_stream` for answers of a server with --enable-return-routed-experts.
"""

import base64
import binascii
import logging
from collections.abc import Mapping
from typing import Any

from middleware.dialect.keys import Json
from middleware.fields.told import Told

log = logging.getLogger("middleware.dialect")

WIDTH = 4  # bytes of SGLang's


def experts(info: Mapping[str, Any], told: Told) -> Json | None:
    """None where there are none, or nobody knows in which shape they are."""
    given, width = info.get("routed_experts"), told.tokens.experts_per_token
    if not isinstance(given, str) or not width:
        return None
    start = told.tokens.experts_start
    # The last token was made and not yet read.
    rows = max(0, info.get("prompt_tokens", 0) + info["completion_tokens"] - 1 - start)
    try:
        raw = base64.b64decode(given, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    layers, rest = divmod(len(raw), rows * width * WIDTH) if rows else (0, len(raw))
    if rest or (rows and not layers):
        log.warning("%s: SGLang's routed experts are of no known shape, and are not told", told.rid)
        return None
    name, data = _narrowed(raw)
    return {
        "data": base64.b64encode(data).decode(),
        "shape": [rows, layers, width],
        "start": start,
        "dtype": name,
    }


def _narrowed(raw: bytes) -> tuple[str, bytes]:
    """As few bytes a number as will do; -1, which stands where no expert was asked, needs all. Lowest bytes first."""
    numbers = len(raw) // WIDTH
    if raw[2::WIDTH].count(0) < numbers or raw[3::WIDTH].count(0) < numbers:
        return "int32", raw
    if raw[1::WIDTH].count(0) == numbers:
        return "uint8", raw[::WIDTH]
    both = bytearray(2 * numbers)
    both[::2], both[1::2] = raw[::WIDTH], raw[1::WIDTH]
    return "uint16", bytes(both)
