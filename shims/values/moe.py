"""Mixture-of-experts models: how they are recognized, and the names of their kernels and all-to-all backends.
Read by `flags/world.py`, `flags/experts.py` and `flags/kernels.py`.

From the choices of both parsers, vLLM 0.33.0 and SGLang 0.5.23; all of it is speed, never results.
"""

from __future__ import annotations

# vLLM 0.33.0's own list of the keys of config.json that say how many experts there are.
EXPERT_COUNTS = ("num_experts", "moe_num_experts", "n_routed_experts", "num_local_experts")

# Parts of names on the hub, in lower case: only where there is no config.json to read.
NAMES = (
    "moe",
    "mixtral",
    "deepseek-v2",
    "deepseek-v3",
    "deepseek-v4",
    "deepseek-r1",
    "gpt-oss",
    "kimi-k2",
    "kimi-k3",
    "glm-4.5",
    "glm-4.6",
    "glm-4.7",
    "glm-5",
    "minimax-m",
    "llama-4",
    "qwen3-next",
    "qwen3-coder-480b",
)
ACTIVE_PARAMETERS = r"-a\d+(\.\d+)?b"  # Qwen3-235B-A22B, ERNIE-4.5-21B-A3B

RUNNER = {
    "aiter": "aiter",
    "cutlass": "cutlass",
    "deep_gemm": "deep_gemm",
    "deep_gemm_mega_moe": "megamoe",
    "flashinfer_cutedsl": "flashinfer_cutedsl",
    "flashinfer_cutlass": "flashinfer_cutlass",
    "flashinfer_trtllm": "flashinfer_trtllm",
    "hpc": "hpc_ops",
    "humming": "humming",
    "marlin": "marlin",
    "triton": "triton",
}

# (--moe-a2a-backend, --deepep-mode)
ALL2ALL: dict[str, tuple[str, str]] = {
    "deepep_high_throughput": ("deepep", "normal"),
    # `low_latency` alone cannot take a prefill of more than 128 tokens a rank (SGLang 0.5.23); vLLM cuts it in chunks.
    "deepep_low_latency": ("deepep", "auto"),
    "deepep_v2": ("deepep_v2", ""),
    "flashinfer_all2allv": ("flashinfer", ""),
    "flashinfer_nvlink_one_sided": ("flashinfer", ""),
    "flashinfer_nvlink_two_sided": ("flashinfer", ""),
    "moonep": ("mooncake", ""),
    "mori_high_throughput": ("mori", "normal"),
    "mori_low_latency": ("mori", "low_latency"),
    "nixl_ep": ("nixl", ""),
}
# SGLang 0.5.23 asserts one of these runners beside `flashinfer`, and does not always choose one by itself.
FLASHINFER_RUNNERS = ("deep_gemm", "flashinfer_cutedsl", "flashinfer_cutlass", "flashinfer_trtllm")
# vLLM 0.33.0 itself takes its default for the two that it has removed.
NO_ALL2ALL = ("allgather_reducescatter", "naive", "pplx")
