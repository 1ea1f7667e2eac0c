"""THE table: one record a vLLM flag, one file an area. A vLLM flag without a record is refused by name.

`translate` walks it; `catalog` has the names and arities.
"""

from __future__ import annotations

from shims.flags import chat, kernels, kv_transfer, lora, memory, model, parallel, scheduler, server
from shims.flags.record import Flag

# kv_transfer comes after memory: it takes back what --no-enable-prefix-caching asked for.
AREAS = (model, parallel, memory, scheduler, kernels, lora, chat, server, kv_transfer)
TABLE: dict[str, Flag] = {flag.name: flag for area in AREAS for flag in area.FLAGS}
