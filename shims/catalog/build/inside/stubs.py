"""Stands in for packages that a parser's module imports but the parser does not need, such as torch: any name
can be taken from them, called, subclassed and used as an annotation. `ask` installs it, in a process of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Protocol

# With torch, `hasattr` is how both projects ask for these: "torch_npu detected, but NPU device is not available".
ABSENT = frozenset({"npu", "hpu", "musa", "mlu"})


class _Meta(type(Protocol)):  # type: ignore[misc]  # SGLang subclasses (torch.nn.Module, ABC): one metaclass for both
    def __new__(cls, name: str, bases: Any, namespace: Any, **_options: Any) -> Any:
        return super().__new__(cls, name, bases, namespace)  # without `total=False` of a stubbed TypedDict

    def __init__(cls, name: str, bases: Any, namespace: Any, **_options: Any) -> None:
        super().__init__(name, bases, namespace)

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _made(cls, name)

    def __call__(cls, *args: Any, **options: Any) -> Any:
        if "_is_stub" not in cls.__dict__:
            return super().__call__(*args, **options)  # a real class with a stub above it
        if len(args) == 1 and not options and callable(args[0]) and not isinstance(args[0], _Meta):
            return args[0]  # a decorator
        # The same each time: vLLM 0.33.0 compares the schemas of its custom operators.
        return cls.__dict__["called"] if "called" in cls.__dict__ else _made(cls, "called")

    def __getitem__(cls, _key: Any) -> Any:
        return cls

    def __setitem__(cls, _key: Any, _value: Any) -> None:
        return None

    def __iter__(cls) -> Iterator[Any]:
        return iter(())

    def __len__(cls) -> int:
        return 0

    def __enter__(cls) -> Any:
        return cls

    def __exit__(cls, *_exception: object) -> None:
        return None


def _operator(answer: Any) -> Callable[..., Any]:
    return lambda cls, *_others: cls if answer is None else answer


for _name in ("add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "floordiv", "mod", "pow", "and", "neg"):
    setattr(_Meta, f"__{_name}__", _operator(None))
for _name, _answer in {"lt": False, "le": False, "gt": True, "ge": True, "int": 0, "index": 0, "float": 0.0}.items():
    setattr(_Meta, f"__{_name}__", _operator(_answer))


def _made(owner: Any, name: str) -> Any:
    names = {
        "_is_stub": True,
        "__module__": "stub",
        # pydantic (2.14) refuses a field of a class that it does not know.
        "__get_pydantic_core_schema__": classmethod(lambda *_arguments: {"type": "any"}),
        # Else it would be ABCMeta's, with other arguments than transformers' `AutoConfig.register`.
        "register": classmethod(lambda cls, *_arguments, **_options: cls),
    }
    made = _Meta(name, (), names)
    setattr(owner, name, made)
    return made


class _Module(ModuleType):
    __version__ = "999.0.0"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in ABSENT:
            raise AttributeError(name)
        return _made(self, name)


class Stubs(MetaPathFinder, Loader):
    """Before all other finders: the answer must not depend on what happens to be installed."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)

    def find_spec(self, name: str, *_place: Any) -> ModuleSpec | None:
        if any(name == stubbed or name.startswith(f"{stubbed}.") for stubbed in self.names):
            return ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = _Module(spec.name)
        module.__path__ = []
        return module

    def exec_module(self, module: ModuleType) -> None:
        return None


def install(names: Sequence[str]) -> None:
    sys.meta_path.insert(0, Stubs(names))
