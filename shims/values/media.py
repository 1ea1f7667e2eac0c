"""Words about images, video and audio: which kinds of media SGLang can limit, and what its vision encoder's
attention back ends are called. From vLLM 0.33.0 and SGLang 0.5.23; `shims.flags.multimodal` reads it.
"""

from __future__ import annotations

KINDS = ("image", "video", "audio")
# FLASH_ATTN has none: vLLM takes the version that the GPU can run, and SGLang's fa3 and fa4 each fail on other GPUs.
ENCODER_ATTENTION = {
    "FLASHINFER": "flashinfer_cudnn",
    "ROCM_AITER_FA": "aiter_attn",
    "TORCH_SDPA": "sdpa",
    "TRITON_ATTN": "triton_attn",
}
