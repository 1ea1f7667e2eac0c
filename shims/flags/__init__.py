"""THE table: one record a vLLM flag, one file an area. A vLLM flag without a record is refused by name.

`translate` walks it; `catalog` has the names and arities.
"""

from __future__ import annotations

from shims.flags import (
    answers,
    chat,
    cors,
    data_parallel,
    experts,
    graphs,
    kernels,
    kv_events,
    kv_transfer,
    loading,
    logs,
    lora,
    mamba,
    memory,
    model,
    multimodal,
    nodes,
    observability,
    overrides,
    parallel,
    pooling,
    quantization,
    sampling,
    scheduler,
    server,
    speculative,
    structured,
    tls,
    tokenizer,
    tools,
    training,
)
from shims.flags.record import Flag

# kv_transfer comes after memory: it takes back what --no-enable-prefix-caching asked for.
AREAS = (
    model,
    overrides,
    quantization,
    tokenizer,
    pooling,
    sampling,
    loading,
    parallel,
    data_parallel,
    nodes,
    experts,
    memory,
    mamba,
    scheduler,
    kernels,
    graphs,
    lora,
    training,
    speculative,
    multimodal,
    chat,
    tools,
    structured,
    server,
    tls,
    cors,
    answers,
    logs,
    observability,
    kv_transfer,
    kv_events,
)
TABLE: dict[str, Flag] = {flag.name: flag for area in AREAS for flag in area.FLAGS}
