"""Numbers as vLLM's command line writes them. Called by the parser, so that everything after it sees plain integers.

vLLM 0.33.0: `32k` is 32,000 and `32K` is 32,768; SGLang 0.5.23 refuses `32K` and reads `1M` as 1,000,000.
"""

from __future__ import annotations

import re

DECIMAL = {"k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
LONGEST = 40  # characters: a float of 400 digits is infinite
BINARY = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def human_int(text: str) -> int:
    match = re.fullmatch(r"\s*([+-]?\d+(?:_\d+)*|\d+\.\d+)([kmgtKMGT]?)\s*", text, re.ASCII)
    number, suffix = match.groups() if match else ("", "")
    if not number or (suffix and not number[0].isdigit()):
        raise ValueError(f"'{text}' is not a number such as 4096, 32k or 32K")
    if "." in number and suffix not in DECIMAL:
        raise ValueError(f"'{text}': decimals are only allowed with k, m, g or t (powers of 1000)")
    if len(number) > LONGEST:
        raise ValueError(f"'{text[:LONGEST]}...' is not a number such as 4096, 32k or 32K")
    return int(float(number) * DECIMAL[suffix]) if suffix in DECIMAL else int(number) * BINARY.get(suffix, 1)


def human_int_or_auto(text: str) -> int:
    """-1 for `auto`: vLLM fits the length to the memory."""
    return -1 if text.strip().lower() == "auto" else human_int(text)
