"""What SGLang 0.5.23 imports but cannot have on a CPU: declared or stubbed, only where it is missing.
`launch.py` calls `apply` in SGLang's main process and, re-imported, in each process that SGLang spawns; so does
`convert.py`, as transformers imports torchvision too.
"""

from __future__ import annotations

import contextlib
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from types import ModuleType
from typing import Any

OPERATORS = ("nms", "qnms")
SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
CREATE_TENSORS = ("arange", "empty", "full", "ones", "tensor", "zeros")


def apply(torch: Any, argv: Sequence[str]) -> None:
    declare_torchvision_operators(torch, torchvision_libraries())
    if importlib.util.find_spec("sgl_kernel") is None:
        sys.modules["sgl_kernel"] = SglKernel()
    if wants_lora(argv) and not torch.cuda.is_available():
        never_pin_memory(torch)


def torchvision_libraries() -> list[Path]:
    spec = importlib.util.find_spec("torchvision")
    return sorted(Path(spec.origin).parent.glob("_C*.so")) if spec and spec.origin else []


def declare_torchvision_operators(torch: Any, libraries: Sequence[Path]) -> None:
    """PyPI's torchvision is linked against CUDA. Beside a CPU torch its library does not load, and then its Python
    side dies on operators that nobody declared (0.28.0: "operator torchvision::nms does not exist").

    Beside a CUDA torch the library does load, and declares them itself: declaring them before it would kill the
    process, so it is loaded first.
    """
    for library in libraries:
        with contextlib.suppress(OSError):
            torch.ops.load_library(library)
    for name in OPERATORS:
        if not hasattr(torch.ops.torchvision, name):
            torch.library.define(f"torchvision::{name}", SCHEMA)


class SglKernel(ModuleType):
    """SGLang's C++ kernels for CPUs are in no package index, and it serves without them; but its modules for
    speculative decoding import some by name, however little they are used."""

    def __init__(self) -> None:
        super().__init__("sgl_kernel")
        self.__spec__ = importlib.machinery.ModuleSpec("sgl_kernel", None)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        # Anything else must stay missing: SGLang asks with hasattr which kernels there are.
        if not name.endswith("_cpu"):
            raise AttributeError(name)

        def kernel(*_args: Any, **_kwargs: Any) -> Any:
            raise NotImplementedError(f"sgl_kernel.{name}: SGLang's CPU kernels are not installed")

        return kernel


def wants_lora(argv: Sequence[str]) -> bool:
    return any(word.split("=")[0] in {"--enable-lora", "--lora-paths"} for word in argv)


def never_pin_memory(torch: Any) -> None:
    """SGLang's LoRA code pins host memory whatever the device; without an accelerator torch refuses
    ("pin_memory=True requires a CUDA or other accelerator backend")."""

    def unpinned(create: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(create)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            kwargs.pop("pin_memory", None)
            return create(*args, **kwargs)

        return wrapper

    for name in CREATE_TENSORS:
        setattr(torch, name, unpinned(getattr(torch, name)))
    torch.Tensor.pin_memory = lambda tensor, *_args, **_kwargs: tensor
