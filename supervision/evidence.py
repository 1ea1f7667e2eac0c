"""What is saved of an engine that is about to be killed because it does nothing any more: stacks, loads, memory, the
memory. `wedged` has it gathered in a thread; an engine that outlasts its stop leaves a short one (`programs`).
"""

import http.client
import os
import shlex
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from supervision import memory, stacks

LONGEST_BYTES = 512 << 10
GATHER_SECONDS = 60.0
LOADS_SECONDS = 2.0
LOADS_BYTES = 16 << 10
TOOL_SECONDS = 10.0
# Whichever is there first; they say nothing of what a process computes.
GPU_TOOLS = (
    ("amd-smi", "metric", "--mem-usage", "--usage"),
    ("rocm-smi", "--showmeminfo", "vram", "--showuse"),
    ("nvidia-smi", "--query-gpu=index,memory.used,memory.total,utilization.gpu", "--format=csv"),
)


@dataclass(frozen=True, slots=True)
class Piece:
    text: str
    blind: int = 0  # the process whose Python stacks py-spy could not see, and which can tell them itself


def gather(name: str, leader: int, command: str, why: str, seconds: float = GATHER_SECONDS) -> Iterator[Piece]:
    """What is cheap first, as the rest may hang; without what the engine computes."""
    end = time.monotonic() + seconds
    yield Piece(short(name, leader, why))
    yield _part("SGLang's loads (/v1/loads)", _loads(shlex.split(command)))
    yield _part("memory of the GPUs", _gpus())
    py_spy = stacks.find_py_spy(leader)
    for pid in stacks.group(leader):
        seen, text = stacks.python_view(pid, py_spy, end - time.monotonic())
        told_by_itself = not seen and stacks.has_faulthandler(pid)
        yield _part(f"Python stacks of process {pid}", text, blind=pid if told_by_itself else 0)


def short(name: str, leader: int, why: str) -> str:
    """What the kernel knows, at once."""
    now = time.strftime("%Y-%m-%d %H:%M:%S")
    used = memory.Cgroup().look()
    room = f"container memory: {memory.size(used.used)} of {memory.size(used.limit)}, peak {memory.size(used.peak)}"
    return "\n".join([f"{now} {name} (pid {leader}): {why}", room, *map(stacks.kernel_view, stacks.group(leader)), ""])


class File:
    """file = File(folder, "sglang"); file.add(text); file.path    # None where the disk is full or not ours to write to

    One older stays in `.1`. Each piece is written when it is there: what comes next may hang, or be killed.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.path: Path | None = folder / f"evidence-{name}.txt"
        self._left = LONGEST_BYTES
        self._attempt(lambda path: path.replace(path.with_suffix(".txt.1")))

    def add(self, text: str) -> None:
        data = f"{text}\n".encode("utf-8", "replace")[: self._left]
        self._left -= len(data)
        self._attempt(lambda path: _append(path, data))

    def _attempt(self, act: Callable[[Path], object]) -> None:
        if self.path is None:
            return
        try:
            act(self.path)
        except FileNotFoundError:
            if not self.path.parent.is_dir():
                self.path = None  # otherwise there was none before
        except OSError:
            self.path = None


def _append(path: Path, data: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        file.write(data)


def _part(title: str, text: str, blind: int = 0) -> Piece:
    return Piece(f"--- {title}\n{text or '(nothing)'}\n", blind)


def _loads(words: Sequence[str]) -> str:
    """Over the HTTP server of the engine itself, which may be what hangs."""
    port = next((after for word, after in pairwise(words) if word == "--port"), "")
    if not port.isdecimal():
        return "its port is not known"
    with closing(http.client.HTTPConnection("127.0.0.1", int(port), timeout=LOADS_SECONDS)) as engine:
        try:
            engine.request("GET", "/v1/loads")
            return engine.getresponse().read(LOADS_BYTES).decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as error:
            return f"no answer: {error}"


def _gpus() -> str:
    tool = next((tool for tool in GPU_TOOLS if shutil.which(tool[0])), None)
    return "no tool that tells" if tool is None else stacks.output_of(tool, TOOL_SECONDS)
