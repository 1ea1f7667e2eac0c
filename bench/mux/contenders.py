"""Who is measured: sglangmux, and ours in three ways to keep a model that is not awake, each over the same stand-ins.
`bench.mux.scenarios` starts them, anew for each scenario.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.contenders import MUXD
from bench.contenders import STAND_IN as FAST
from bench.machine import CONTENDERS, ROOT
from bench.mux.device import Device
from bench.running import Failed, free_port, process

FULL = ROOT / "tests/fakes/sglang.py"  # with the control API, and a device
MODELS = ("model-a", "model-b")
MAX_WAIT = 3.0  # of ours, for who waits behind a steady load
DEFAULT_MAX_WAIT = 30.0
SWITCH_SECONDS = 10  # sglangmux's limit of a switch: its default, 60, is how long it would leave clients waiting
# A whole file of no tensors: ours reads no folder of weights that it does not find whole.
WEIGHTS = (2).to_bytes(8, "little") + b"{}"
SCRIPT = """\
MODEL_NAME={model}
PORT={port}
export PYTHONPATH={folder}/py
exec {python} -m sglang.launch_server --model-path {folder}/$MODEL_NAME --served-model-name $MODEL_NAME \\
  --host 127.0.0.1 --port $PORT --enable-memory-saver
"""
# Where a script finds SGLang: what it starts is the stand-in, in the same process.
LAUNCH_SERVER = "import os, sys\n\nos.execv({words[0]!r}, [*{words!r}, *sys.argv[1:]])\n"


@dataclass(frozen=True, slots=True)
class Place:
    folder: Path
    device: Device
    core: int | None = None  # for what is measured
    engine_core: int | None = None  # then the engine is one that is never the bottleneck
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def engine(self) -> str:
        fast = f" {FAST} --core {self.engine_core}"
        return f"{sys.executable}{fast if self.engine_core is not None else f' {FULL}'}"


@dataclass(frozen=True, slots=True)
class Front:
    port: int
    pid: int
    device: Device
    engines: tuple[int, ...]  # ports, as MODELS
    started: float  # time.monotonic()
    max_wait: float = 0.0

    def stop(self) -> None:
        os.kill(self.pid, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class Contender:
    name: str
    label: str
    words: Callable[[Place, int, tuple[int, ...]], list[str]]
    env: Mapping[str, str]
    asleep: str  # what becomes of a model that is not awake
    max_wait: float = 0.0

    @contextlib.contextmanager
    def start(self, place: Place) -> Iterator[Front]:
        """Begun, and not yet ready: the port may be closed."""
        port, engines = free_port(), (free_port(), free_port())
        log = place.folder / "log"
        env = {**self.env, **place.device.environment, **place.env}
        env |= {"VLLM_SHIM_ENGINE": place.engine, "VLLM_SHIM_PYTHON": sys.executable}
        env |= {"VLLM_SHIM_RUN_DIR": str(place.folder / "run"), "VLLM_SHIM_LOG": str(place.folder / "shim.log")}
        for model in MODELS:
            (place.folder / model).mkdir()
            (place.folder / model / "model.safetensors").write_bytes(WEIGHTS)
        started = time.monotonic()
        try:
            with process(self.words(place, port, engines), log, core=place.core, env=env) as running:
                yield Front(port, running.pid, place.device, engines, started, self.max_wait)
        except Failed as failure:
            raise Failed(f"{self.label}: {failure}\n{log.read_text(errors='replace')[-2000:]}") from failure
        finally:
            place.device.clear()


def _scripts(place: Place, engines: tuple[int, ...]) -> list[str]:
    found = []
    package = place.folder / "py/sglang"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "launch_server.py").write_text(LAUNCH_SERVER.format(words=shlex.split(place.engine)))
    for model, port in zip(MODELS, engines, strict=True):
        script = place.folder / f"{model}.sh"
        folder = shlex.quote(str(place.folder))
        script.write_text(SCRIPT.format(model=model, port=port, folder=folder, python=sys.executable))
        found.append(str(script))
    return found


def _sglangmux(place: Place, port: int, engines: tuple[int, ...]) -> list[str]:
    binary = next(CONTENDERS.glob(MUXD))
    words = [str(binary), "--listen-port", str(port), "--log-dir", str(place.folder / "logs")]
    return [*words, "--model-switch-timeout-secs", str(SWITCH_SECONDS), *_scripts(place, engines)]


def _ours(place: Place, port: int, *files: str) -> list[str]:
    return [str(ROOT / "shims/bin/vllm"), "serve", "--shim-models", *files, "--host", "127.0.0.1", "--port", str(port)]


def _ours_scripts(place: Place, port: int, engines: tuple[int, ...]) -> list[str]:
    return _ours(place, port, *_scripts(place, engines))


def _ours_tier(tier: str) -> Callable[[Place, int, tuple[int, ...]], list[str]]:
    def words(place: Place, port: int, engines: tuple[int, ...]) -> list[str]:
        models = [
            {
                "serve": f"{place.folder / model} --max-model-len 8192",
                "name": model,
                "port": engine,
                "devices": [0],
                "tier": tier,
                "preload": True,
                "limits": {"max_wait": MAX_WAIT},
            }
            for model, engine in zip(MODELS, engines, strict=True)
        ]
        file = place.folder / "models.json"
        file.write_text(json.dumps({"models": models}))
        return _ours(place, port, str(file))

    return words


SGLANGMUX = Contender("sglangmux", "sglangmux 0.1.1", _sglangmux, {"RUST_LOG": "info"}, "weights from disk")
DISK = Contender("disk", "ours, `tier: disk`", _ours_tier("disk"), {}, "weights from disk", MAX_WAIT)
CPU = Contender("cpu", "ours, `tier: cpu`", _ours_tier("cpu"), {}, "weights in the host's memory", MAX_WAIT)
SCRIPTS = Contender("scripts", "ours, sglangmux's scripts", _ours_scripts, {}, "weights from disk", DEFAULT_MAX_WAIT)
CONTENDER_LIST = (SGLANGMUX, DISK, CPU, SCRIPTS)
