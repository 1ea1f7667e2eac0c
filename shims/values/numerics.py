"""The names of quantization methods and KV cache types. What SGLang lacks is refused: another number format
is another result.

From the choices of both parsers, vLLM 0.33.0 and SGLang 0.5.23.
"""

from __future__ import annotations

QUANTIZATION = {
    "auto_awq": "awq",
    "auto-round": "auto-round",  # 0.11
    "auto_gptq": "gptq",
    "awq": "awq",
    "awq_marlin": "awq_marlin",
    "bitsandbytes": "bitsandbytes",
    "compressed-tensors": "compressed-tensors",
    "fp8": "fp8",
    "fp8_per_channel": "fp8",
    "fp8_per_tensor": "fp8",
    "gguf": "gguf",
    "gpt_oss_mxfp4": "mxfp4",
    "gptq": "gptq",
    "gptq_marlin": "gptq_marlin",
    "humming": "humming",
    "inc": "auto-round",
    "modelopt": "modelopt",
    "modelopt_fp4": "modelopt_fp4",
    "modelopt_mixed": "modelopt_mixed",
    "moe_wna16": "moe_wna16",
    "mxfp4": "mxfp4",
    "mxfp8": "mxfp8",
    "nvfp4": "modelopt_fp4",  # 0.8
    "nvfp4_per_token": "nvfp4_online",
    "petit_nvfp4": "petit_nvfp4",  # 0.11
    "quark": "quark",
}

# Quantized while loading, and not to the last bit as vLLM does it.
APPROXIMATE = {
    "fp8_per_channel": "SGLang's fp8 chooses its own granularity of scales",
    "fp8_per_tensor": "SGLang's fp8 chooses its own granularity of scales",
    "nvfp4_per_token": "SGLang's nvfp4_online is near to it and not the same",
}

KV_CACHE_DTYPE = {
    "auto": "auto",
    "bfloat16": "bf16",
    "fp8": "fp8_e4m3",  # SGLang 0.5.23 has no plain `fp8`
    "fp8_e4m3": "fp8_e4m3",
    "fp8_e5m2": "fp8_e5m2",
    "fp8_ds_mla": "fp8_e4m3",
    "nvfp4": "nvfp4",
}
