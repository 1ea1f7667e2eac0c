"""The parsers of published releases: fetched, and asked in a throw-away environment with the few packages that
they really need; everything heavy is a stub. `__main__` calls it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from shims.catalog.build import fetch
from shims.catalog.build.asking import Answer, Project, ask

# What the parsers are made with. A new release that needs another one says so: ModuleNotFoundError.
NEEDED = (
    "cachetools==8.0.1",
    "cloudpickle==3.1.2",
    "msgspec==0.22.0",
    "numpy==2.4.6",
    "packaging==26.3",
    "psutil==7.2.2",
    "pydantic==2.14.3",
    "pyyaml==6.0.3",
    "regex==2026.11.15",
    "typing_extensions==4.16.0",
)
# What their modules import on the way, and the parsers do not use.
STUBS: dict[Project, tuple[str, ...]] = {
    "vllm": (
        *("PIL", "aiohttp", "blake3", "cbor2", "cpuinfo", "fastapi", "huggingface_hub", "jinja2", "openai"),
        *("openai_harmony", "partial_json_parser", "prometheus_client", "pybase64", "requests", "safetensors"),
        *("setproctitle", "torch", "tqdm", "transformers", "urllib3", "uvloop", "zmq"),
        "vllm.v1.executor",  # the engine itself: 0.33.0's default ParallelConfig imports it to look at a class
    ),
    "sglang": (
        *("IPython", "PIL", "aiohttp", "dill", "huggingface_hub", "openai", "orjson", "partial_json_parser"),
        *("pybase64", "requests", "safetensors", "starlette", "torch", "tqdm", "transformers", "triton", "xgrammar"),
        "zmq",
        # They reach deep into transformers, or are made of it: 0.5.18 pickles a class of its configs.
        *("sglang.srt.configs", "sglang.srt.utils.hf_transformers_patches"),
        # In a base image; a release does without, and they would import the real torch.
        *("aiter", "flashinfer", "sgl_kernel", "torchvision", "vllm"),
    ),
}


def records(project: Project, version: str) -> Answer:
    """Raises FetchError, AskError, or CalledProcessError if the environment cannot be made."""
    return ask(environment(), project, path=fetch.source(project, version), stubs=STUBS[project])


def environment() -> Path:
    """The interpreter of the throw-away environment, made at the first call."""
    folder = fetch.CACHE / "venv"
    python, stamp = folder / "bin" / "python", folder / "needed.txt"
    needed = "\n".join((sys.version, *NEEDED))
    if not stamp.exists() or stamp.read_text() != needed:
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *NEEDED]
        subprocess.run(command, check=True)
        stamp.write_text(needed)
    return python
