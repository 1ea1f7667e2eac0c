"""What belongs to a build of vLLM's, the CPU and other accelerators, and its caches. Read by `shims.environment`."""

from __future__ import annotations

from shims import caches
from shims.environment.record import Variable, convert, drop, put
from shims.flags.draft import Draft
from shims.flags.record import Outcome, already


def cpu_cores(draft: Draft, value: str) -> Outcome:
    """Both write ranges of cores, one a rank, with `|` between."""
    if value in ("auto", "all"):
        return already("SGLang binds the ranks to the cores of their NUMA nodes")
    return put(draft, "SGLANG_CPU_OMP_THREADS_BIND", value)


VARIABLES: tuple[Variable, ...] = (
    convert("VLLM_CACHE_ROOT", caches.cache_root, to="SGLANG_CACHE_DIR below it"),
    convert("VLLM_CPU_OMP_THREADS_BIND", cpu_cores, to="SGLANG_CPU_OMP_THREADS_BIND"),
    *drop(
        "read when vLLM is built or packed",
        *("VLLM_BUILD_COMMIT", "VLLM_BUILD_PIPELINE", "VLLM_BUILD_URL", "VLLM_DOCKER_BUILD_CONTEXT"),
        *("VLLM_HAS_FLASHINFER_CUBIN", "VLLM_IMAGE_TAG", "VLLM_MAIN_CUDA_VERSION"),
        *("VLLM_SKIP_PRECOMPILED_VERSION_SUFFIX", "VLLM_SKIP_VERSION_SUFFIX", "VLLM_TARGET_DEVICE"),
        *("VLLM_TEST_USE_PRECOMPILED_NIGHTLY_WHEEL", "VLLM_USE_PRECOMPILED", "VLLM_USE_PRECOMPILED_RUST"),
    ),
    *drop(
        "of a CPU kernel of vLLM's; speed only",
        *("VLLM_CPU_ATTN_SPLIT_KV", "VLLM_CPU_CI_ENV", "VLLM_CPU_INT4_W4A8", "VLLM_CPU_MOE_PREPACK"),
        *("VLLM_CPU_NUM_OF_RESERVED_CPU", "VLLM_CPU_SGL_KERNEL", "VLLM_ZENTORCH_WEIGHT_PREPACK"),
    ),
    *drop(
        "of an accelerator or system that vLLM alone knows",
        *("VLLM_HPU_USE_DELAYED_SAMPLING", "VLLM_TEST_DYNAMO_FULLGRAPH_CAPTURE", "VLLM_TPU_BUCKET_PADDING_GAP"),
        *("VLLM_TPU_MOST_MODEL_LEN", "VLLM_TPU_USING_PATHWAYS", "VLLM_USE_HPU_CONTIGUOUS_CACHE_FETCH"),
        *("VLLM_WSL2_ENABLE_PIN_MEMORY", "VLLM_XLA_CACHE_PATH", "VLLM_XLA_CHECK_RECOMPILATION", "VLLM_XLA_USE_SPMD"),
        *("VLLM_XPU_FORCE_N_CONTIG_WEIGHT", "VLLM_XPU_INC_WNA16_BACKEND", "VLLM_XPU_PP_MICROBATCH"),
        "VLLM_XPU_USE_SAMPLER_KERNEL",
    ),
)
