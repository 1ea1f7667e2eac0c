"""Kernels, graphs, compilation and memory: what changes speed, and the few that change numbers. Read by
`shims.environment`."""

from __future__ import annotations

from shims.environment.record import (
    SPEED,
    Variable,
    convert,
    drop,
    emits,
    names,
    number,
    one,
    put,
    refuse,
    same_value,
    sets,
    whole,
    word,
)
from shims.flags import kernels
from shims.flags.draft import Draft
from shims.flags.record import Outcome, already, dropped

GRAPHS = "it tunes vLLM's torch.compile; SGLang captures its own graphs (speed only)"
ONE_ENGINE = "SGLang has one engine"
MODEL = "speed only: a tuning of vLLM's code for one model"
QUICK = ("FP", "INT8", "INT6", "INT4", "NONE")
POLL_SECONDS = 0.005  # SGLang 0.5.23 waits so long for a grammar, SGLANG_GRAMMAR_MAX_POLL_ITERATIONS times at most


def attention_backend(draft: Draft, value: str) -> Outcome:
    if draft.given("--attention-backend") is not None:
        return dropped("--attention-backend wins")
    return kernels.attention_backend(draft, value)


def deep_gemm_warmup(draft: Draft, value: str) -> Outcome:
    if value == "skip":
        return put(draft, "SGLANG_JIT_DEEPGEMM_PRECOMPILE", "0")
    if value == "full":
        return put(draft, "SGLANG_JIT_DEEPGEMM_FAST_WARMUP", "0")
    return already("SGLang decides how much it compiles at the start")


def quick_reduce(draft: Draft, value: str) -> Outcome:
    if value.upper() not in QUICK:
        return dropped(f"SGLang's quick reduce knows {', '.join(QUICK)}")
    return put(draft, "ROCM_QUICK_REDUCE_QUANTIZATION", value.upper())


def regex_timeout(draft: Draft, value: str) -> Outcome:
    """How long the compilation of a grammar may take: a pattern of an attacker's must not hold the server."""
    seconds = whole(value, 0, "seconds")
    if isinstance(seconds, Outcome):
        return seconds
    if seconds == 0:
        return dropped("SGLang always has a limit")
    return put(draft, "SGLANG_GRAMMAR_MAX_POLL_ITERATIONS", str(round(seconds / POLL_SECONDS)))


def outlines_cache(draft: Draft, value: str) -> Outcome:
    """Unbounded and on disk: off unless it was asked for, in vLLM. SGLang 0.5.23 has it on, and a flag to end it."""
    flag = "--disable-outlines-disk-cache"
    if one(value):
        return already("on, as SGLang's default")
    return dropped(f"{flag} is decided on the command line") if flag in draft.engine_args else draft.emit(flag)


def nan_check(draft: Draft, value: str) -> Outcome:
    return put(draft, "SGLANG_ENABLE_NAN_LOGITS_CHECK", "1") if number(value) else already("off")


VARIABLES: tuple[Variable, ...] = (
    convert("VLLM_ATTENTION_BACKEND", attention_backend, to="--attention-backend"),
    convert("VLLM_BATCH_INVARIANT", emits("--enable-deterministic-inference"), to="--enable-deterministic-inference"),
    convert("VLLM_SLEEP_WHEN_IDLE", emits("--sleep-on-idle"), to="--sleep-on-idle"),
    convert("VLLM_ROCM_USE_AITER", sets("SGLANG_USE_AITER", read=word), to="SGLANG_USE_AITER"),
    convert("VLLM_USE_DEEP_GEMM", sets("SGLANG_ENABLE_JIT_DEEPGEMM"), to="SGLANG_ENABLE_JIT_DEEPGEMM"),
    convert("VLLM_DEEP_GEMM_WARMUP", deep_gemm_warmup, to="SGLANG_JIT_DEEPGEMM_PRECOMPILE"),
    convert(
        "VLLM_SKIP_DEEP_GEMM_WARMUP",
        sets("SGLANG_JIT_DEEPGEMM_PRECOMPILE", on="0", off="1"),
        to="SGLANG_JIT_DEEPGEMM_PRECOMPILE",
    ),
    convert("VLLM_ROCM_QUICK_REDUCE_QUANTIZATION", quick_reduce, to="ROCM_QUICK_REDUCE_QUANTIZATION"),
    convert(
        "VLLM_ROCM_QUICK_REDUCE_CAST_BF16_TO_FP16",
        sets("ROCM_QUICK_REDUCE_CAST_BF16_TO_FP16", read=word),
        to="ROCM_QUICK_REDUCE_CAST_BF16_TO_FP16",
    ),
    convert(
        "VLLM_ROCM_QUICK_REDUCE_MAX_SIZE_BYTES_MB",
        same_value("ROCM_QUICK_REDUCE_MAX_SIZE_BYTES_MB"),
        to="ROCM_QUICK_REDUCE_MAX_SIZE_BYTES_MB",
    ),
    convert("VLLM_HUMMING_ONLINE_QUANT_CONFIG", same_value("SGLANG_HUMMING_ONLINE_QUANT_CONFIG")),
    convert("VLLM_HUMMING_INPUT_QUANT_CONFIG", same_value("SGLANG_HUMMING_INPUT_QUANT_CONFIG")),
    convert("VLLM_HUMMING_USE_F16_ACCUM", sets("SGLANG_HUMMING_USE_F16_ACCUM")),
    convert("VLLM_HUMMING_MOE_GEMM_TYPE", same_value("SGLANG_HUMMING_MOE_GEMM_TYPE")),
    convert("VLLM_REGEX_COMPILATION_TIMEOUT_S", regex_timeout, to="SGLANG_GRAMMAR_MAX_POLL_ITERATIONS"),
    convert("VLLM_V1_USE_OUTLINES_CACHE", outlines_cache, to="--disable-outlines-disk-cache"),
    convert("VLLM_V0_USE_OUTLINES_CACHE", outlines_cache, to="--disable-outlines-disk-cache"),
    convert("VLLM_RAISE_ON_LOGIT_NANS", nan_check, to="SGLANG_ENABLE_NAN_LOGITS_CHECK"),
    *refuse(
        names("", "default"),
        "made-up experts give made-up answers; for a benchmark set SGLANG_SIMULATE_UNIFORM_EXPERTS",
        "VLLM_MOE_ROUTING_SIMULATION_STRATEGY",
    ),
    *drop("SGLang counts none; VLLM_RAISE_ON_LOGIT_NANS ends on them", "VLLM_COMPUTE_NANS_IN_LOGITS"),
    *drop(ONE_ENGINE, "VLLM_USE_V1", "VLLM_USE_V2_MODEL_RUNNER", "VLLM_USE_HW_AGNOSTIC"),
    *drop(
        "SGLang holds more exact values than it asks for", "VLLM_FLOAT32_MATMUL_PRECISION", "VLLM_MARLIN_INPUT_DTYPE"
    ),
    *drop("SGLang sizes its cache with --mem-fraction-static and --max-total-tokens", "VLLM_CPU_KVCACHE_SPACE"),
    *drop(
        "set LD_LIBRARY_PATH to the compatibility libraries",
        "VLLM_ENABLE_CUDA_COMPATIBILITY",
        "VLLM_CUDA_COMPATIBILITY_PATH",
    ),
    *drop(
        GRAPHS,
        *("VLLM_COMPILE_CACHE_SAVE_FORMAT", "VLLM_DISABLE_COMPILE_CACHE", "VLLM_DISABLE_PAD_FOR_CUDAGRAPH"),
        *("VLLM_ENABLE_CUDAGRAPH_GC", "VLLM_ENABLE_INDUCTOR_COORDINATE_DESCENT_TUNING"),
        *("VLLM_ENABLE_INDUCTOR_MAX_AUTOTUNE", "VLLM_ENABLE_PREGRAD_PASSES", "VLLM_ENABLE_STARTUP_PLAN"),
        *("VLLM_FORCE_AOT_LOAD", "VLLM_MEMORY_PROFILER_ESTIMATE_CUDAGRAPHS", "VLLM_USE_AOT_COMPILE"),
        *("VLLM_USE_BREAKABLE_CUDAGRAPH", "VLLM_USE_BYTECODE_HOOK", "VLLM_USE_LAYERNAME"),
        *("VLLM_USE_MEGA_AOT_ARTIFACT", "VLLM_USE_STANDALONE_COMPILE"),
    ),
    *drop(
        "speed only: SGLang chooses among FlashInfer's kernels itself",
        *("VLLM_BLOCKSCALE_FP8_GEMM_FLASHINFER", "VLLM_DISABLE_FLASHINFER_PREFILL"),
        *("VLLM_FLASHINFER_ALLREDUCE_BACKEND", "VLLM_FLASHINFER_ALLREDUCE_FUSION_THRESHOLDS_MB"),
        *("VLLM_FLASHINFER_AUTOTUNE_CACHE_DIR", "VLLM_FLASHINFER_AUTOTUNE_SKIP_OPS"),
        *("VLLM_FLASHINFER_DISABLE_Q_QUANTIZATION", "VLLM_FLASHINFER_FORCE_TENSOR_CORES"),
        *("VLLM_FLASHINFER_MOE_BACKEND", "VLLM_FLASHINFER_WORKSPACE_BUFFER_SIZE", "VLLM_USE_CUDNN_PREFILL"),
        *("VLLM_USE_FLASHINFER_MOE_FP16", "VLLM_USE_FLASHINFER_MOE_FP4", "VLLM_USE_FLASHINFER_MOE_FP8"),
        *("VLLM_USE_FLASHINFER_MOE_INT4", "VLLM_USE_FLASHINFER_MOE_MXFP4_BF16"),
        *("VLLM_USE_FLASHINFER_MOE_MXFP4_MXFP8", "VLLM_USE_FLASHINFER_MOE_MXFP4_MXFP8_CUTLASS"),
        *("VLLM_USE_FLASHINFER_SAMPLER", "VLLM_USE_TRTLLM_ATTENTION", "VLLM_USE_TRTLLM_FP4_GEMM"),
    ),
    *drop(
        "speed only: SGLang's attention backends have their own layouts",
        *("VLLM_ALLOW_CHUNKED_LOCAL_ATTN_WITH_HYBRID_KV_CACHE", "VLLM_ENABLE_FLA_PACKED_RECURRENT_DECODE"),
        *("VLLM_FLASH_ATTN_MAX_NUM_SPLITS_FOR_CUDA_GRAPH", "VLLM_FLASH_ATTN_VERSION", "VLLM_GDN_DECODE_KERNEL"),
        *("VLLM_KV_CACHE_LAYOUT", "VLLM_MLA_DISABLE", "VLLM_SPARSE_INDEXER_MAX_LOGITS_MB"),
        *("VLLM_SSM_CONV_STATE_LAYOUT", "VLLM_TRITON_USE_TD", "VLLM_USE_TRITON_FLASH_ATTN"),
        "VLLM_V1_USE_PREFILL_DECODE_ATTENTION",
    ),
    *drop(
        SPEED,
        *("VLLM_B12X_MOE_FP4_FORCE_A16", "VLLM_COHERE2_ATTN_MOE_DUAL_STREAM_TOKEN_THRESHOLD"),
        *("VLLM_DISABLED_KERNELS", "VLLM_DISABLE_DSV4_MEGAMOE_SHARED_EXPERT_FUSION"),
        *("VLLM_DISABLE_SHARED_EXPERTS_STREAM", "VLLM_ENABLE_FUSED_MOE_ACTIVATION_CHUNKING", "VLLM_ENABLE_HPC_OPS"),
        *("VLLM_ENABLE_MOE_ALIGN_BLOCK_SIZE_TRITON", "VLLM_FUSED_MOE_CHUNK_SIZE", "VLLM_KIMI_K3_GEMM_AR"),
        *("VLLM_KIMI_K3_SHARD_SP_SHARED_EXPERT", "VLLM_MARLIN_USE_ATOMIC_ADD", "VLLM_MAX_TOKENS_PER_EXPERT_FP4_MOE"),
        *("VLLM_MOE_DP_CHUNK_SIZE", "VLLM_MOE_SKIP_PADDING", "VLLM_MOE_USE_DEEP_GEMM"),
        *("VLLM_MULTI_STREAM_GEMM_TOKEN_THRESHOLD", "VLLM_MXFP4_EMULATION_DEQUANT_AT_LOAD", "VLLM_MXFP4_USE_MARLIN"),
        *("VLLM_MXFP8_EMULATION_DEQUANT_AT_LOAD", "VLLM_SHARED_EXPERTS_STREAM_TOKEN_THRESHOLD"),
        *("VLLM_STEP5_SHARD_SP_SHARED_EXPERT", "VLLM_TRITON_FORCE_FIRST_CONFIG"),
        *("VLLM_TRITON_JIT_WARMUP_NUM_THREADS", "VLLM_TUNED_CONFIG_FOLDER", "VLLM_USE_DEEP_GEMM_E8M0"),
        *("VLLM_USE_DEEP_GEMM_E8M0_HOPPER", "VLLM_USE_DEEP_GEMM_TMA_ALIGNED_SCALES", "VLLM_USE_FBGEMM"),
        *("VLLM_USE_FUSED_MOE_GROUPED_TOPK", "VLLM_USE_NVFP4_CT_EMULATIONS", "VLLM_USE_OINK_OPS"),
        "VLLM_USE_TRITON_AWQ",
    ),
    *drop(
        "speed only: SGLang chooses among AITER's and its own kernels",
        *("VLLM_ROCM_AITER_MLA_ASM_PADDING", "VLLM_ROCM_AITER_MOE_DISPATCH_POLICY", "VLLM_ROCM_CUSTOM_PAGED_ATTN"),
        *("VLLM_ROCM_FP8_MFMA_PAGE_ATTN", "VLLM_ROCM_FP8_PADDING", "VLLM_ROCM_MOE_PADDING"),
        *("VLLM_ROCM_MUSE_MOE_ONLINE_QUANT", "VLLM_ROCM_MUSE_MOE_REDUCE_DTYPE"),
        *("VLLM_ROCM_QUICK_REDUCE_MIN_SIZE_BYTES_MB", "VLLM_ROCM_QUICK_REDUCE_QUANTIZATION_MIN_SIZE_KB"),
        *("VLLM_ROCM_SHUFFLE_KV_CACHE_LAYOUT", "VLLM_ROCM_SLEEP_MEM_CHUNK_SIZE", "VLLM_ROCM_USE_AITER_CUSTOM_AR"),
        *("VLLM_ROCM_USE_AITER_FP4BMM", "VLLM_ROCM_USE_AITER_FP4_ASM_GEMM", "VLLM_ROCM_USE_AITER_FP8BMM"),
        *("VLLM_ROCM_USE_AITER_FUSION_SHARED_EXPERTS", "VLLM_ROCM_USE_AITER_LINEAR"),
        *("VLLM_ROCM_USE_AITER_LINEAR_HIPBMM", "VLLM_ROCM_USE_AITER_MHA", "VLLM_ROCM_USE_AITER_MLA"),
        *("VLLM_ROCM_USE_AITER_MOE", "VLLM_ROCM_USE_AITER_MOE_A4W4_DSV4", "VLLM_ROCM_USE_AITER_MOE_SITUV2"),
        *("VLLM_ROCM_USE_AITER_PAGED_ATTN", "VLLM_ROCM_USE_AITER_RMSNORM", "VLLM_ROCM_USE_AITER_TRITON_GEMM"),
        *("VLLM_ROCM_USE_AITER_TRITON_ROPE", "VLLM_ROCM_USE_AITER_TRITON_SPARSE_MLA"),
        *("VLLM_ROCM_USE_AITER_UNIFIED_ATTENTION", "VLLM_ROCM_USE_SKINNY_GEMM", "VLLM_ROCM_USE_TRITON_ROPE"),
        "VLLM_USE_AITER_UNIFIED_ATTENTION",
    ),
    *drop(
        "SGLang has no such part",
        *("VLLM_ADAPTIVE_VERIFICATION_PROFILE_CONTEXT_LEN", "VLLM_KIMI_K3_AUX_ATTN_RES_STREAM"),
        *("VLLM_LOGITS_PROCESSOR_THREADS", "VLLM_LORA_DISABLE_PDL", "VLLM_LORA_ENABLE_DUAL_STREAM"),
        *("VLLM_V1_OUTPUT_PROC_CHUNK_SIZE", "VLLM_WEIGHT_OFFLOADING_DISABLE_PIN_MEMORY"),
        *("VLLM_WEIGHT_OFFLOADING_DISABLE_UVA", "VLLM_XGRAMMAR_CACHE_MB"),
    ),
)
