"""SGLang's server on a CPU: its own command line, with defaults that fit a machine without an accelerator.
The script `launch` beside it runs it; SGLang's spawned processes import it again, as `__mp_main__`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

FLAGS: dict[str, str | None] = {
    "--device": "cpu",
    "--dtype": "float32",  # products in bfloat16 take seven times as long where the CPU has no instructions for them
    "--attention-backend": "torch_native",  # SGLang's own for CPUs needs kernels that no package index has
    "--sampling-backend": "pytorch",
    "--grammar-backend": "xgrammar",
    "--lora-backend": "torch_native",  # the default, csgmv, is made of GPU kernels: the first request ends the engine
    "--disable-overlap-schedule": None,
    "--sleep-on-idle": None,  # without it an engine with nothing to do takes a whole core
    "--mem-fraction-static": "0.3",
    # Without a bound the KV cache takes two thirds of the memory (15 GB of 24) and the start twice as long.
    "--max-total-tokens": "16384",
    "--max-running-requests": "32",
}
ENVIRONMENT = {
    "SGLANG_USE_CPU_ENGINE": "1",  # without it the model fails in rotary embedding, for want of `vllm._custom_ops`
    "OMP_NUM_THREADS": "1",  # two threads on two busy cores wait for each other: four times slower
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
}


def with_defaults(argv: Sequence[str]) -> list[str]:
    """The defaults go first: where SGLang's parser accepts an abbreviation of a flag, the later one wins."""
    given = {word.split("=")[0] for word in argv}
    defaults: list[str] = []
    for flag, value in FLAGS.items():
        if flag not in given:
            defaults += [flag] if value is None else [flag, value]
    return [*defaults, *argv]


def set_environment() -> None:
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def prepare() -> None:
    """In every process of SGLang, before anything of it is imported."""
    set_environment()
    # Run by its path, Python puts this folder first, where modules called `model` and `status` are; the package's
    # parent is what has to be there.
    here = Path(__file__).resolve().parent
    sys.path[:] = [str(here.parent), *(folder for folder in sys.path if folder != str(here))]
    import torch  # noqa: PLC0415  (reads the environment when it is imported)

    from cpu_engine import stand_ins  # noqa: PLC0415

    stand_ins.apply(torch, sys.argv)


def serve(argv: Sequence[str]) -> None:
    """What `python -m sglang.launch_server` does."""
    from sglang.launch_server import run_server  # noqa: PLC0415
    from sglang.srt.plugins import load_plugins  # noqa: PLC0415
    from sglang.srt.server_args import prepare_server_args  # noqa: PLC0415
    from sglang.srt.utils import kill_process_tree  # noqa: PLC0415

    load_plugins()
    try:
        run_server(prepare_server_args(with_defaults(argv)))
    finally:
        kill_process_tree(os.getpid(), include_parent=False)


if __name__ in {"__main__", "__mp_main__"}:
    prepare()
if __name__ == "__main__":
    serve(sys.argv[1:])
