"""How weights are read: load formats and what each loader's extra configuration may hold.
From vLLM 0.8.5, 0.11.0 and 0.33.0 and the choices and loaders of SGLang 0.5.23; `shims.flags.loading` reads it.
"""

from __future__ import annotations

# What vLLM calls the same, by what SGLang calls it. `auto` and `hf` are SGLang's default and need no flag.
LOAD_FORMAT = {
    "bitsandbytes": "bitsandbytes",
    "dummy": "dummy",
    "fastsafetensors": "fastsafetensors",
    "gguf": "gguf",
    "instanttensor": "instanttensor",
    "mistral": "mistral",
    "npcache": "npcache",
    "pt": "pt",
    "runai_streamer": "runai_streamer",
    "safetensors": "safetensors",
    "sharded_state": "sharded_state",
}
DEFAULT_FORMATS = ("auto", "hf")

FROM_FILES = ("enable_multithread_load", "num_threads")
# What SGLang's loader takes; it raises for any other key, and `None` means any.
LOADER_KEYS: dict[str, tuple[str, ...] | None] = {
    "auto": FROM_FILES,
    "mistral": FROM_FILES,
    "npcache": FROM_FILES,
    "pt": FROM_FILES,
    "safetensors": FROM_FILES,
    "fastsafetensors": (*FROM_FILES, "enable_gds"),
    "instanttensor": None,
    "runai_streamer": ("concurrency", "distributed", "memory_limit"),
    "sharded_state": ("pattern",),
    "bitsandbytes": ("qlora_adapter_name_or_path",),
    "dummy": (),
    "gguf": (),
}
# vLLM's own keys that change nothing but the log.
HARMLESS_KEYS = ("enable_weights_track",)
