"""Nodes, ranks, ports between processes, and the transfer of KV caches. Read by `shims.environment`."""

from __future__ import annotations

from shims.environment.record import (
    Variable,
    convert,
    drop,
    names,
    number,
    put,
    refuse,
    same_value,
    sets,
    unseen,
    whole,
)
from shims.flags.draft import Draft
from shims.flags.record import Outcome, already, dropped, refused

SPMD = "vLLM's offline way to data parallelism; give --data-parallel-size to vllm serve"
NO_RAY = "no Ray here"
NO_RPC = "between vLLM's own processes"
ONE_NODE = "one node: nothing to tell another"
TRANSFER = "of a KV connector of vLLM's, which SGLang does not run"
NEAR = 64  # SGLang searches upwards from SGLANG_PORT: it must not come to haproxy's port before haproxy does


def several(draft: Draft) -> bool:
    """Whether another machine talks to this engine."""
    return draft.engine_args.get("--nnodes", ("1",))[0] not in ("", "1")


def host_ip(draft: Draft, value: str) -> Outcome:
    return put(draft, "SGLANG_HOST_IP", value) if several(draft) else dropped(ONE_NODE)


def port(draft: Draft, value: str) -> Outcome:
    """vLLM's internal port, not the server's. Never fatal: Kubernetes writes an address into it."""
    if not value.isdecimal() or not 0 < int(value) < 65536:
        return dropped("no port; vLLM's internal one, not the server's")
    if not several(draft):
        return dropped("vLLM's internal port, not the server's: SGLang takes free ones")
    if draft.port - NEAR <= int(value) <= draft.port + NEAR:
        return dropped(f"too near to the server's port {draft.port}: SGLang takes free ones")
    return put(draft, "SGLANG_PORT", value, "the first of the ports between processes")


def dp_size(_draft: Draft, value: str) -> Outcome:
    size = whole(value, 1, "ranks")
    if isinstance(size, Outcome):
        return size
    return already("one rank") if size == 1 else refused(SPMD)


def model_timeout(draft: Draft, value: str) -> Outcome:
    seconds = whole(value, 1, "seconds")
    if isinstance(seconds, Outcome):
        return seconds
    flag = "--watchdog-timeout"
    return dropped(f"{flag} wins") if flag in draft.engine_args else draft.emit(flag, seconds)


def block_hashes(draft: Draft, value: str) -> Outcome:
    if number(value) or draft.given("--kv-events-config") is None:
        return already("SGLang's KV events hold integers, when there are any")
    return refused("SGLang's KV events hold integers: a reader of bytes would understand none of them")


VARIABLES: tuple[Variable, ...] = (
    convert("VLLM_HOST_IP", host_ip, to="SGLANG_HOST_IP with several nodes"),
    convert("VLLM_PORT", port, to="SGLANG_PORT with several nodes"),
    convert("VLLM_DP_SIZE", dp_size),
    *refuse(names("0"), SPMD, "VLLM_DP_RANK", "VLLM_DP_RANK_LOCAL"),
    *drop("with VLLM_DP_SIZE alone", "VLLM_DP_MASTER_IP", "VLLM_DP_MASTER_PORT", "VLLM_RANDOMIZE_DP_DUMMY_INPUTS"),
    convert("VLLM_NCCL_SO_PATH", same_value("SGLANG_NCCL_SO_PATH"), to="SGLANG_NCCL_SO_PATH"),
    convert("VLLM_SKIP_P2P_CHECK", sets("SGLANG_SKIP_P2P_CHECK", read=names("0")), to="SGLANG_SKIP_P2P_CHECK"),
    convert(
        "VLLM_RINGBUFFER_WARNING_INTERVAL",
        same_value("SGLANG_RINGBUFFER_WARNING_INTERVAL"),
        to="SGLANG_RINGBUFFER_WARNING_INTERVAL",
    ),
    convert("VLLM_EXECUTE_MODEL_TIMEOUT_SECONDS", model_timeout, to="--watchdog-timeout"),
    convert("VLLM_KV_EVENTS_USE_INT_BLOCK_HASHES", block_hashes),
    *drop("--kv-transfer-config asks for SGLang's HiCache", "VLLM_USE_SIMPLE_KV_OFFLOAD"),
    *drop(
        NO_RPC,
        *("VLLM_RPC_BASE_PATH", "VLLM_RPC_TIMEOUT", "VLLM_MSGPACK_ZERO_COPY_THRESHOLD", "VLLM_MQ_MAX_CHUNK_BYTES_MB"),
        *(
            "VLLM_LOOPBACK_IP",
            "VLLM_USE_SPINLOOP_EXT",
            "VLLM_WORKER_MULTIPROC_METHOD",
            "VLLM_ENABLE_V1_MULTIPROCESSING",
        ),
        *(
            "VLLM_ALLOW_INSECURE_SERIALIZATION",
            "VLLM_DISABLE_REQUEST_ID_RANDOMIZATION",
            "VLLM_ENGINE_ITERATION_TIMEOUT_S",
        ),
    ),
    *drop("supervisord gives SGLang its time to end", "VLLM_WORKER_SHUTDOWN_TIMEOUT_SECONDS"),
    *drop(
        NO_RAY,
        *("VLLM_RAY_PER_WORKER_GPUS", "VLLM_RAY_BUNDLE_INDICES", "VLLM_RAY_DP_PACK_STRATEGY"),
        *(
            "VLLM_RAY_DP_PLACEMENT_NODE_IPS",
            "VLLM_RAY_EXTRA_ENV_VAR_PREFIXES_TO_COPY",
            "VLLM_RAY_EXTRA_ENV_VARS_TO_COPY",
        ),
        *("VLLM_USE_RAY_COMPILED_DAG", "VLLM_USE_RAY_COMPILED_DAG_CHANNEL_TYPE", "VLLM_USE_RAY_SPMD_WORKER"),
        *("VLLM_USE_RAY_COMPILED_DAG_OVERLAP_COMM", "VLLM_USE_RAY_WRAPPED_PP_COMM"),
    ),
    *drop(
        TRANSFER,
        *("VLLM_NIXL_SIDE_CHANNEL_HOST", "VLLM_NIXL_SIDE_CHANNEL_PORT", "VLLM_NIXL_ABORT_REQUEST_TIMEOUT"),
        *("VLLM_P2P_SIDE_CHANNEL_HOST", "VLLM_P2P_SIDE_CHANNEL_PORT", "VLLM_P2P_MAX_PEERS"),
        *("VLLM_P2P_HANDSHAKE_TIMEOUT_S", "VLLM_P2P_IDLE_TIMEOUT_S"),
        *("VLLM_EC_SIDE_CHANNEL_HOST", "VLLM_EC_SIDE_CHANNEL_PORT", "VLLM_MOONCAKE_BOOTSTRAP_PORT"),
        *("VLLM_MOONCAKE_CONNECTOR_TIMEOUT", "VLLM_MOONCAKE_ABORT_REQUEST_TIMEOUT", "VLLM_MOONCAKE_STORE_TIER_LOG"),
        *("VLLM_MOONCAKE_LOAD_RECV_THREADS", "VLLM_MOONCAKE_DISK_STAGING_USABLE_RATIO"),
        *("MOONCAKE_PREFERRED_SEGMENT", "MOONCAKE_REQUESTER_LOCAL_HOSTNAME", "VLLM_KV_OFFLOAD_MAX_BATCH_DESCRIPTORS"),
    ),
    *drop("name the devices to NCCL instead: NCCL_IB_HCA", "VLLM_GPU_NIC_PCIE_MAPPING", "VLLM_NIC_SELECTION_VARS"),
    *drop("set by vLLM for its own processes", "VLLM_ELASTIC_EP_SCALE_UP_LAUNCH", "VLLM_ELASTIC_EP_DRAIN_REQUESTS"),
    *drop(
        "speed only: SGLang chooses how its ranks talk",
        *(
            "VLLM_ALL2ALL_BACKEND",
            "VLLM_ALLREDUCE_USE_SYMM_MEM",
            "VLLM_ALLREDUCE_USE_FLASHINFER",
            "VLLM_DISABLE_PYNCCL",
        ),
        *("VLLM_ALLREDUCE_USE_FLASHINFER_PCIE_IPC", "VLLM_USE_NCCL_SYMM_MEM", "VLLM_NCCL_INCLUDE_PATH"),
        *("VLLM_DISTRIBUTED_USE_SPLIT_GROUP", "VLLM_DISABLE_NCCL_FOR_DP_SYNCHRONIZATION", "VLLM_CUDART_SO_PATH"),
        *("VLLM_DEEPEP_BUFFER_SIZE_MB", "VLLM_DEEPEP_HIGH_THROUGHPUT_FORCE_INTRA_NODE"),
        *("VLLM_DEEPEP_LOW_LATENCY_USE_MNNVL", "VLLM_DEEPEP_V2_ALLOW_HYBRID_MODE", "VLLM_DEEPEP_V2_PREFER_OVERLAP"),
        *("VLLM_DEEPEP_V2_ALLOW_MULTIPLE_REDUCTION", "VLLM_DEEPEPLL_NVFP4_DISPATCH", "VLLM_DBO_COMM_SMS"),
        *("VLLM_DCP_Q_REPLICATE", "VLLM_USE_DIRECT_DCP_A2A", "VLLM_USE_DIRECT_DCP_Q_GATHER"),
        *("VLLM_USE_DIRECT_DCP_KV_GATHER", "VLLM_REPLICATE_EMBED", "VLLM_ENABLE_GEMM_RS"),
        "VLLM_FLASHINFER_MOE_A2A_LOW_PRECISION_COMBINE",
    ),
    *unseen("LOCAL_RANK", "CUDA_VISIBLE_DEVICES"),
)
