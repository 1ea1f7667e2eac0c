"""What SGLang cannot have on a CPU is made good only where it is missing."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cpu_engine import stand_ins

LIBRARY = Path("site-packages/torchvision/_C.so")


class Torch:
    """torch's registry of operators, and of its API what the stand-ins touch. As the real one does, it refuses to
    declare an operator a second time, and a library cannot be loaded that is linked against CUDA without it."""

    def __init__(self, *, has_cuda_libraries: bool) -> None:
        self.has_cuda_libraries = has_cuda_libraries
        self.declared: list[str] = []
        self.pinned: list[bool] = []
        operators = SimpleNamespace()

        def declare(name: str, _schema: str = "") -> None:
            assert name not in self.declared, "the real one aborts the process"
            self.declared.append(name)
            setattr(operators, name.removeprefix("torchvision::"), object())

        def load_library(path: Path) -> None:
            assert path == LIBRARY
            if not self.has_cuda_libraries:
                raise OSError(f"Could not load this library: {path}")
            for name in ("nms", "qnms", "roi_align"):
                declare(f"torchvision::{name}")

        self.ops = SimpleNamespace(torchvision=operators, load_library=load_library)
        self.library = SimpleNamespace(define=declare)
        self.cuda = SimpleNamespace(is_available=lambda: False)
        self.Tensor = type("Tensor", (), {"pin_memory": lambda _tensor: pytest.fail("pinned")})
        for name in stand_ins.CREATE_TENSORS:
            setattr(self, name, self.create)

    def create(self, *_args: Any, pin_memory: bool = False) -> Any:
        self.pinned.append(pin_memory)
        return self.Tensor()


def test_beside_a_cpu_build_of_torch_the_missing_operators_are_declared() -> None:
    torch = Torch(has_cuda_libraries=False)
    stand_ins.declare_torchvision_operators(torch, [LIBRARY])
    assert torch.declared == ["torchvision::nms", "torchvision::qnms"]


def test_beside_a_cuda_build_torchvisions_own_library_declares_them() -> None:
    torch = Torch(has_cuda_libraries=True)
    stand_ins.declare_torchvision_operators(torch, [LIBRARY])
    assert torch.declared == ["torchvision::nms", "torchvision::qnms", "torchvision::roi_align"]


def test_without_torchvisions_library_they_are_declared_too() -> None:
    torch = Torch(has_cuda_libraries=True)
    stand_ins.declare_torchvision_operators(torch, [])
    assert torch.declared == ["torchvision::nms", "torchvision::qnms"]


def test_kernels_that_are_only_imported_are_there_and_say_what_they_lack_when_called() -> None:
    kernels: Any = stand_ins.SglKernel()
    with pytest.raises(NotImplementedError, match=r"sgl_kernel\.verify_tree_greedy_cpu"):
        kernels.verify_tree_greedy_cpu(1, 2)


def test_kernels_that_sglang_looks_for_stay_missing() -> None:
    assert not hasattr(stand_ins.SglKernel(), "flash_mla")


@pytest.mark.parametrize(
    ("argv", "wanted"),
    [
        (["--enable-lora"], True),
        (["--lora-paths", "a=b"], True),
        (["--lora-paths=a"], True),
        (["--port", "1"], False),
    ],
)
def test_lora_is_wanted_when_one_of_its_flags_is_given(argv: list[str], wanted: bool) -> None:
    assert stand_ins.wants_lora(argv) is wanted


def test_memory_is_not_pinned_with_lora_and_tensors_are_made_all_the_same() -> None:
    torch: Any = Torch(has_cuda_libraries=False)
    stand_ins.never_pin_memory(torch)
    tensor = torch.empty(3, pin_memory=True)
    assert torch.pinned == [False]
    assert tensor.pin_memory() is tensor
