"""Attention backends: vLLM's names to SGLang's, those for which SGLang's own choice stands, and those it lacks.
Read by `flags/kernels.py`, for the flags and for VLLM_ATTENTION_BACKEND.

From the enums of vLLM 0.33.0, 0.11.0 and 0.8.5 and the choices of SGLang 0.5.23, whose `fa3` stops the start on a GPU
other than Hopper, where it is the default anyway.
"""

from __future__ import annotations

BACKENDS = {
    "FLASHINFER": "flashinfer",
    "FLASHINFER_MLA": "trtllm_mla",
    "FLASHMLA": "flashmla",
    "FLEX_ATTENTION": "flex_attention",
    "HPC_ATTN": "hpc_ops",
    "ROCM_AITER_FA": "aiter",
    "ROCM_AITER_MLA": "aiter",
    "ROCM_AITER_TRITON_MLA": "aiter",
    "ROCM_AITER_UNIFIED_ATTN": "aiter",
    "ROCM_ATTN": "triton",
    "TORCH_SDPA": "torch_native",
    "TRITON_ATTN": "triton",
    "TRITON_ATTN_VLLM_V1": "triton",
    "TRITON_MLA": "triton",
}
OWN_CHOICE = (
    "AMX_MLA",
    "B12X",
    "BLOCK_SPARSE_FLASH_ATTN",
    "CPU_ATTN",
    "CPU_MLA",
    "CUTLASS_MLA",
    "CUTLASS_MSA",
    "DIFFERENTIAL_FLASH_ATTN",
    "FLASHINFER_MLA_SPARSE",
    "FLASHINFER_MLA_SPARSE_DSV4",
    "FLASHINFER_MLA_SPARSE_DSV41",
    "FLASHINFER_MLA_SPARSE_SM120",
    "FLASHINFER_MLA_SPARSE_SM90",
    "FLASHMLA_MEGA_ATTN_DSV41",
    "FLASHMLA_SPARSE",
    "FLASHMLA_SPARSE_DSV4",
    "FLASHMLA_SPARSE_DSV41",
    "FLASH_ATTN",
    "FLASH_ATTN_DIFFKV",
    "FLASH_ATTN_MLA",
    "FLASH_ATTN_MLA_SPARSE",
    "FLASH_ATTN_MLA_SPARSE_FA4",
    "FLASH_ATTN_VLLM_V1",
    "HPU_ATTN",
    "IPEX",
    "MINIMAX_M3_SPARSE",
    "NO_ATTENTION",
    "PALLAS",
    "PALLAS_VLLM_V1",
    "ROCM_AITER_MLA_SPARSE",
    "ROCM_FLASH",
    "ROCM_FLASHMLA_SPARSE_DSV4",
    "ROCM_FLASHMLA_SPARSE_DSV41",
    "ROCM_OCTAVE",
    "ROCM_SEGMENTED_ATTN",
    "STEP5_DSA",
    "TOKENSPEED_MLA",
    "TREE_ATTN",
    "TRITON_ATTN_DIFFKV",
    "TRITON_FLASHINFER",
    "TRITON_FLASH_ATTN",
    "TRITON_MSA",
    "TURBOQUANT",
    "ULTRAQUANT",
    "XFORMERS",
    "XPU_MLA_SPARSE",
)
# What SGLang lacks and results depend on.
LACKING = {
    "CUSTOM": "it is a class of vLLM's, registered by a plugin; leave it out",
    "DUAL_CHUNK_FLASH_ATTN": "SGLang has no dual-chunk attention: beyond the trained length results would differ",
}
