"""Words about the model that differ between vLLM and SGLang: tokenizer modes, configuration formats, implementations.
From vLLM 0.8.5, 0.11.0 and 0.33.0 and SGLang 0.5.23; `shims.flags.model` and `.tokenizer` read them.
"""

from __future__ import annotations

# The modes that name a chat encoder are SGLang's `auto`: it picks the encoder by the model's architecture.
TOKENIZER_MODE = {
    "auto": "auto",
    "deepseek_v32": "auto",
    "deepseek_v4": "auto",
    "deepseek_v41": "auto",
    "hf": "auto",
    "inkling": "auto",
    "kimi_k3": "auto",
    "mistral": "auto",
    "slow": "slow",
}
CONFIG_FORMAT = {"auto": "auto", "hf": "hf", "mistral": "mistral"}
MODEL_IMPL = {"auto": "auto", "transformers": "transformers", "vllm": "sglang"}
