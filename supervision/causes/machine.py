"""Causes in what it runs on: memory, GPUs, disks, ports, other nodes; and at the end what is only a consequence.
Part of the table that `supervision.causes` puts together.
"""

from supervision.causes.record import LIBC, NEVER, ONCE_READY, PERHAPS, TORCH, Cause, Sign

RUNNER = "sglang/srt/model_executor"
POOLS = f"{RUNNER}/pool_configurator.py"
CACHE = "sglang/srt/mem_cache/kv_cache_configurator.py"
HOST_POOL = "sglang/srt/mem_cache/pool_host/base.py"
COMMON = "sglang/srt/utils/common.py"

# Of the kernel's count of those that it has killed as well: `supervision.deaths`.
OUT_OF_MEMORY = Cause(
    "out of memory",
    ONCE_READY,
    "of the host, not of the GPU: raise the container's memory limit, or take a node with more",
    (Sign(b"DefaultCPUAllocator: can't allocate memory", TORCH), Sign(b"Cannot allocate memory", LIBC)),
)

# What is particular stands before what is general.
CAUSES = (
    Cause(
        "no memory for the KV cache",
        ONCE_READY,
        "the weights leave too little: raise --gpu-memory-utilization, lower --max-num-seqs or --max-model-len, or take"
        " more GPUs by --tensor-parallel-size",
        (
            Sign(b"Not enough memory. Please try to increase --mem-fraction-static", POOLS),
            Sign(b"Loaded weights leave no GPU memory for the KV cache", CACHE),
            Sign(b"Not enough GPU memory for hybrid", CACHE),
            Sign(b"state cache is too small to serve ", CACHE),
            Sign(b"leaves no room for the full ", POOLS),
        ),
    ),
    Cause(
        "no host memory for the KV cache",
        ONCE_READY,
        "LMCACHE_MAX_LOCAL_CPU_SIZE, --kv-offloading-size or --kv-transfer-config ask for more than the pod or its node"
        " has free: lower it, or give them more memory",
        (Sign(b"Not enough host memory available. Requesting", HOST_POOL),),
    ),
    Cause(
        "out of GPU memory",
        ONCE_READY,
        "the model does not fit, or another process holds the GPU (rocm-smi, nvidia-smi): take more GPUs by"
        " --tensor-parallel-size or a quantized model, or lower --gpu-memory-utilization, --max-num-seqs or"
        " --max-num-batched-tokens if it was there for the weights",
        (
            Sign(b"torch.OutOfMemoryError", f"{RUNNER}/runner/flashinfer_autotune.py"),
            Sign(b"HIP out of memory", TORCH),
            Sign(b"CUDA out of memory", TORCH),
            Sign(b"hipErrorOutOfMemory", "compiled: HIP"),
        ),
    ),
    Cause(
        "GPU in use",
        PERHAPS,
        "another process, or a dead one that is not gone yet, holds memory of one of the GPUs (rocm-smi, nvidia-smi)",
        (Sign(b"The memory capacity is unbalanced. ", "sglang/srt/distributed/bootstrap.py"),),
    ),
    Cause(
        "graph capture failed",
        PERHAPS,
        "lower --gpu-memory-utilization or --max-num-seqs; --enforce-eager does without graphs and is slower",
        (
            Sign(b"set --cuda-graph-max-bs-decode to a smaller value", f"{RUNNER}/runner_backend_utils/__init__.py"),
            Sign(
                b"disable the prefill CUDA graph by", f"{RUNNER}/runner_backend_utils/breakable_cuda_graph/context.py"
            ),
        ),
    ),
    Cause(
        "more ranks than GPUs",
        NEVER,
        "--tensor-parallel-size and its kind ask for more GPUs than this container sees: compare with its resource"
        " limits, and with HIP_VISIBLE_DEVICES or CUDA_VISIBLE_DEVICES",
        (Sign(b"invalid device ordinal", "compiled: HIP and CUDA"),),
    ),
    Cause(
        "no GPU",
        NEVER,
        "this container sees none that it can use: check the pod's limits (amd.com/gpu, nvidia.com/gpu), the node's"
        " driver and device plugin, and HIP_VISIBLE_DEVICES or CUDA_VISIBLE_DEVICES",
        (
            Sign(b"No HIP GPUs are available", TORCH),
            Sign(b"No CUDA GPUs are available", TORCH),
            Sign(b"Found no NVIDIA driver on your system", TORCH),
            Sign(b"Torch not compiled with CUDA enabled", "torch/cuda/__init__.py"),
            Sign(b"No CUDA devices found via torch.cuda.", COMMON),
            Sign(b"No accelerator (CUDA, XPU, HPU, NPU, MUSA, MPS)", COMMON),
            Sign(b"rocm-smi not found. ", COMMON),
            Sign(b"nvidia-smi not found. ", COMMON),
        ),
    ),
    Cause(
        "GPU too old",
        NEVER,
        "this SGLang does not run on it",
        (Sign(b"SGLang only supports sm75 and above.", f"{RUNNER}/model_runner_components/load_model_utils.py"),),
    ),
    Cause(
        "shared memory too small",
        ONCE_READY,
        "mount an emptyDir with `medium: Memory` at /dev/shm (docker: --shm-size 16g, or --ipc host)",
        (
            Sign(b"Error while creating shared memory segment", "compiled: NCCL and RCCL"),
            Sign(b"might be caused by insufficient shared memory (shm)", TORCH),
            Sign(b"Bus error", LIBC),
        ),
    ),
    Cause(
        "disk full",
        ONCE_READY,
        "make room where it writes: the model's cache (HF_HOME, --download-dir), /tmp, the log folder",
        (Sign(b"No space left on device", LIBC), Sign(b"Disk quota exceeded", LIBC)),
    ),
    Cause(
        "port taken",
        ONCE_READY,
        "something else listens there: VLLM_SHIM_SGLANG_PORT names another for SGLang",
        (
            Sign(b"ddress already in use", LIBC),
            Sign(b"Port is already in use. ", "sglang/srt/server_args.py"),
            Sign(b" is not available in ", "sglang/srt/utils/network.py"),
        ),
    ),
    OUT_OF_MEMORY,
    Cause(
        "missing module",
        NEVER,
        "this image's Python lacks, or has too old, what the model or a flag needs: use an image that has it",
        (
            Sign(b"\nModuleNotFoundError: No module named", "compiled: Python"),
            Sign(b"\nImportError: lib", "compiled: Python"),
            Sign(b" with minimum required version ", COMMON),
            Sign(b"is less than the minimum required version ", COMMON),
        ),
    ),
    Cause(
        "ranks do not meet",
        PERHAPS,
        "another node was not reached in time: check --master-addr, --master-port, --nnodes, --node-rank and"
        " the network",
        # Not "has failed to connect to", which torch says of each try.
        (Sign(b"The client socket has timed out after ", TORCH),),
    ),
    Cause(
        "GPU fault",
        PERHAPS,
        "a kernel or the GPU itself failed: if it comes again on this node and not on others, have its GPUs looked at"
        " (dmesg, rocm-smi --showrasinfo, nvidia-smi -q)",
        (
            Sign(b"Memory access fault by GPU", "compiled: ROCr"),
            Sign(b"HSA_STATUS_ERROR", "compiled: ROCr"),
            Sign(b"illegal memory access was encountered", "compiled: HIP and CUDA"),
            Sign(b"uncorrectable ECC error", "compiled: CUDA"),
        ),
    ),
    Cause(
        "a rank died",
        PERHAPS,
        "one of SGLang's processes ended before it was up, and its own lines, if any, say why",
        (Sign(b" scheduler died during initialization ", "sglang/srt/entrypoints/engine.py"),),
    ),
)
