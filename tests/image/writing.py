"""Every place that the engine of a GPU writes to, by the defaults of the libraries themselves and not by our table of
them. The stand-in of the image's tests writes there at its start, and dies as they would where it cannot.
"""

from __future__ import annotations

import getpass
import importlib.util
import os
import tempfile
from collections.abc import Iterator
from multiprocessing import shared_memory
from pathlib import Path

KERNEL = b"compiled"


def places() -> Iterator[tuple[str, Path]]:
    """Who writes, and in which folder: what a library does with its variable, or without it."""
    env = os.environ.get
    home = Path.home()
    cache = Path(env("XDG_CACHE_HOME") or home / ".cache")
    sglang = Path(env("SGLANG_CACHE_DIR") or home / ".cache/sglang")
    yield "home", home
    yield "temporary files", Path(tempfile.gettempdir())
    yield "triton", Path(env("TRITON_CACHE_DIR") or home / ".triton/cache")
    yield (
        "inductor",
        Path(env("TORCHINDUCTOR_CACHE_DIR") or f"{tempfile.gettempdir()}/torchinductor_{getpass.getuser()}"),
    )
    yield "torch extensions", Path(env("TORCH_EXTENSIONS_DIR") or cache / "torch_extensions")
    yield "torch hub", Path(env("TORCH_HOME") or cache / "torch")
    yield "huggingface", Path(env("HF_HOME") or cache / "huggingface")
    yield "modelscope", Path(env("MODELSCOPE_CACHE") or home / ".cache/modelscope")
    yield "sglang", sglang
    yield "sglang jit", Path(env("SGLANG_JIT_CACHE_DIR") or sglang / "jit")
    yield "tvm-ffi", Path(env("TVM_FFI_CACHE_DIR") or home / ".cache/tvm-ffi")
    yield "flashinfer", Path(env("FLASHINFER_WORKSPACE_BASE") or home) / ".cache/flashinfer"
    yield "tilelang", Path(env("TILELANG_CACHE_DIR") or home / ".tilelang/cache")
    yield "cuda driver", Path(env("CUDA_CACHE_PATH") or home / ".nv/ComputeCache")
    yield "numba", Path(env("NUMBA_CACHE_DIR") or cache / "numba")
    yield "outlines", Path(env("OUTLINES_CACHE_DIR") or cache / "outlines")
    yield "matplotlib", Path(env("MPLCONFIGDIR") or Path(env("XDG_CONFIG_HOME") or home / ".config") / "matplotlib")
    yield "miopen kernels", Path(env("MIOPEN_CUSTOM_CACHE_DIR") or home / ".cache/miopen")
    yield "miopen settings", Path(env("MIOPEN_USER_DB_PATH") or home / ".config/miopen")
    yield "comgr", Path(env("AMD_COMGR_CACHE_DIR") or cache / "comgr")
    yield "prometheus", Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
    if (package := importlib.util.find_spec("aiter")) and package.origin:
        yield "aiter", Path(env("AITER_JIT_DIR") or Path(package.origin).parent / "jit")


def write_everywhere() -> None:
    for who, folder in places():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"of-{who.replace(' ', '-')}").write_bytes(KERNEL)
        print(f"wrote {who}: {folder}", flush=True)
    # NCCL's and RCCL's ranks, torch's queues and SGLang's schedulers talk through /dev/shm.
    memory = shared_memory.SharedMemory(create=True, size=8 << 20)
    assert memory.buf is not None
    memory.buf[:] = bytes(8 << 20)
    memory.close()
    memory.unlink()
    print("wrote shared memory", flush=True)
