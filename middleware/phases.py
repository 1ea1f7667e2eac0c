"""What SGLang is doing while it loads, guessed from its log: THE table of phases and the lines that begin them.
`middleware.watch` looks while the engine is loading or gone. A wrong guess is a wrong word in a sentence, no more.
"""

import enum
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


class Phase(enum.Enum):
    START = "start"  # Python imports and the command line, before anything of the model
    DOWNLOAD = "download"
    LOAD = "load"
    COMPILE = "compile"
    CAPTURE = "graph capture"
    WARM_UP = "warm-up"


@dataclass(frozen=True, slots=True)
class Sign:
    """Whoever writes `text` into the log begins the phase; None: nothing of a start is going on any more."""

    phase: Phase | None
    text: bytes
    source: str


START, DOWNLOAD, LOAD = Phase.START, Phase.DOWNLOAD, Phase.LOAD
COMPILE, CAPTURE, WARM_UP = Phase.COMPILE, Phase.CAPTURE, Phase.WARM_UP

# Plain texts, because the last one in the log decides, and to find that costs microseconds. They are of SGLang
# 0.5.23 where nothing else is said. "Capture" begins lines of failures too: hence the whole words.
SIGNS: tuple[Sign, ...] = (
    Sign(START, b"] supervisor: started", "ours: supervision/programs.py, before the first line of each life"),
    Sign(START, b"] server_args=", "entrypoints/engine.py: without supervision, what stands before is another life's"),
    Sign(DOWNLOAD, b"Using model weights format [", "model_loader/weight_utils.py: it begins, with its bars off"),
    Sign(DOWNLOAD, b"; will attempt download.", "model_loader/weight_utils.py: a snapshot without weights"),
    Sign(DOWNLOAD, b"Will download missing files.", "model_loader/weight_utils.py: a snapshot with holes"),
    Sign(LOAD, b"Load weight begin.", "model_executor/model_runner.py"),
    Sign(LOAD, b"skipping download.", "model_loader/weight_utils.py: the weights are here"),
    Sign(LOAD, b"Loading safetensors", "model_loader/weight_utils.py: a bar"),
    Sign(LOAD, b"Multi-thread loading", "model_loader/weight_utils.py: a bar"),
    Sign(LOAD, b"checkpoint shards", "model_loader/weight_utils.py: bars of .pt and of np_cache, and prefetching"),
    Sign(COMPILE, b"] start build [", "aiter jit/core.py, ROCm: a line a kernel, which takes seconds to minutes"),
    Sign(COMPILE, b"Entering DeepGEMM JIT Pre-Compile session", "layers/deep_gemm_wrapper/compile_utils.py"),
    Sign(COMPILE, b"Try DeepGEMM JIT Compiling", "layers/deep_gemm_wrapper/compile_utils.py"),
    Sign(COMPILE, b"DeepGEMM warmup", "layers/deep_gemm_wrapper/compile_utils.py: a bar, which compiles"),
    Sign(COMPILE, b"Running FlashInfer autotune", "model_executor/runner/flashinfer_autotune.py"),
    Sign(COMPILE, b"Compiling a graph for ", "compilation/backend.py: torch.compile of pieces"),
    Sign(COMPILE, b"AUTOTUNE ", "torch 2.13 _inductor/select_algorithm.py: --enable-torch-compile"),
    Sign(CAPTURE, b"CUDA graph begin.", "model_runner_components/cuda_graph_setup.py, speculative/eagle_worker_v2.py"),
    Sign(CAPTURE, b"cuda graph begin.", "speculative/frozen_kv_mtp_worker_v2.py, and all before 0.5.10"),
    Sign(CAPTURE, b"CPU graph begin.", "model_runner_components/cuda_graph_setup.py: --device cpu with graphs"),
    Sign(CAPTURE, b"Capturing batches (", "model_executor/runner/decode_cuda_graph_runner.py: a bar"),
    Sign(CAPTURE, b"Capturing prefill shape (", "model_executor/runner/prefill_cuda_graph_runner.py: a bar"),
    Sign(WARM_UP, b"Running warmup ", "entrypoints/warmup.py: --warmups"),
    Sign(WARM_UP, b"Application startup complete.", "uvicorn 0.54: the port opens, SGLang asks itself for tokens"),
    Sign(WARM_UP, b"Start of pd disaggregation warmup", "entrypoints/http_server.py"),
    Sign(None, b"The server is fired up and ready to roll!", "entrypoints/http_server.py"),
)

# What is read in one look. Only the last sign counts, so what is skipped is seldom missed.
LOOK_BYTES = 128 * 1024
# A sign may be cut in two by the end of a look.
LONGEST_SIGN = max(len(sign.text) for sign in SIGNS)
UNSEEN = (0, 0)


def lost_file(ready: Path) -> Path:
    """Where supervision leaves word of an engine that is lost before it is dead."""
    return ready.with_name(f"{ready.name}.lost")


def last_sign(text: bytes, signs: Sequence[Sign] = SIGNS) -> Sign | None:
    """Progress bars end in carriage returns, ranks write into each other's lines: no line is looked for."""
    found, at = None, -1
    for sign in signs:
        if (here := text.rfind(sign.text)) > at:
            found, at = sign, here
    return found


class EngineLog:
    """phase = log.look()     # of the last sign so far; without a sign the phase stays
    log.forget()              # that life is over: what stands there by now says nothing of the next
    """

    __slots__ = ("_file", "_offset", "_path", "_phase")

    def __init__(self, path: Path) -> None:
        self._path = path
        self._phase: Phase | None = None
        self._file = UNSEEN
        self._offset = 0

    def look(self) -> Phase | None:
        sign = last_sign(self._new())
        if sign is not None:
            self._phase = sign.phase
        return self._phase

    def forget(self) -> None:
        self._new()
        self._phase = None

    def _new(self) -> bytes:
        """What was written since the last look, or the end of it; nothing if it cannot be read."""
        try:
            # A log that is no file, say a pipe, must not hold up the event loop.
            number = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return b""
        try:
            found = os.fstat(number)
            if not stat.S_ISREG(found.st_mode):
                return b""
            file = (found.st_dev, found.st_ino)
            if file != self._file or found.st_size < self._offset:
                self._file, self._offset = file, 0  # the first look, rotated, or emptied
            begin = max(0, self._offset - LONGEST_SIGN, found.st_size - LOOK_BYTES)
            text = os.pread(number, LOOK_BYTES, begin) if found.st_size > self._offset else b""
            self._offset = max(self._offset, begin + len(text))
        except OSError:
            return b""
        else:
            return text
        finally:
            os.close(number)
