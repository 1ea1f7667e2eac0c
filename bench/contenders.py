"""Who is measured: each is started in front of the same stand-in, and says on which port and in which processes.
`bench.rounds` takes them in turn.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from bench.bodies import MODEL
from bench.cpu import command, family
from bench.machine import CONTENDERS, ROOT, Cores
from bench.running import PATIENCE, Failed, environment, free_port, process, wait_until_it_chats

HERE = ROOT / "bench"
STAND_IN = HERE / "standin.py"
HAPROXY = HERE / "haproxy.cfg"
MUXD = "lib/python3*/site-packages/sglangmux/bin/sglangmuxd"
# Rollouts are asked for too.
TRAINS = {"VLLM_SHIM_RL": "1"}
# It lives as long as its multiplexer: the engine that it stands for runs already.
MUX_SCRIPT = "MODEL_NAME={model}\nPORT={port}\nexec tail --pid=$PPID -f /dev/null\n"


@dataclass(frozen=True, slots=True)
class Place:
    folder: Path  # for logs and configurations
    engine: int  # the port of the stand-in
    cores: Cores

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"


@dataclass(frozen=True, slots=True)
class Running:
    """`parts` are the processes whose cost counts, by what they are; `engine` is the stand-in's port."""

    port: int
    engine: int
    parts: Mapping[str, tuple[int, ...]]

    @property
    def pids(self) -> list[int]:
        return [pid for pids in self.parts.values() for pid in pids]


@dataclass(frozen=True, slots=True)
class Contender:
    name: str
    label: str
    start: Callable[[Place], AbstractContextManager[Running]]
    # Only what a request costs: a variant that differs in nothing else.
    requests_only: bool = False
    # It hands on a stream's tokens as they come.
    streams: bool = True


@contextlib.contextmanager
def stand_in(place: Place) -> Iterator[None]:
    words = [sys.executable, str(STAND_IN), "--port", str(place.engine), "--served-model-name", MODEL]
    with process(words, place.log("stand-in"), core=place.cores.load) as running:
        wait_until_it_chats(place.engine, running, place.log("stand-in"), PATIENCE)
        yield


@contextlib.contextmanager
def direct(place: Place) -> Iterator[Running]:
    yield Running(place.engine, place.engine, {})


@contextlib.contextmanager
def _alone(
    place: Place, name: str, words: list[str], port: int, env: Mapping[str, str] | None = None
) -> Iterator[Running]:
    with process(words, place.log(name), core=place.cores.measured, env=env) as running:
        wait_until_it_chats(port, running, place.log(name), PATIENCE)
        yield Running(port, place.engine, {name: family(running.pid)})


def _haproxy(no_delay: str) -> Callable[[Place], AbstractContextManager[Running]]:
    def start(place: Place) -> AbstractContextManager[Running]:
        port = free_port()
        config = place.folder / f"haproxy-{port}.cfg"
        config.write_text(HAPROXY.read_text().format(no_delay=no_delay, port=port, engine=place.engine))
        return _alone(place, "haproxy", ["haproxy", "-db", "-f", str(config)], port)

    return start


def _rendered(place: Place, *flags: str) -> Path:
    """The policy that `vllm serve` would give the middleware."""
    words = [sys.executable, str(ROOT / "render_config.py"), "--out", str(place.folder / "rendered")]
    subprocess.run([*words, "--", *serve(*flags)], check=True, capture_output=True, env=environment(TRAINS))
    return place.folder / "rendered/policy.json"


def serve(*flags: str) -> list[str]:
    return ["serve", str(HERE / "model"), "--served-model-name", MODEL, "--max-model-len", "1048576", *flags]


def _middleware(*flags: str) -> Callable[[Place], AbstractContextManager[Running]]:
    def start(place: Place) -> AbstractContextManager[Running]:
        port = free_port()
        words = [sys.executable, "-I", "-X", "utf8", "-m", "middleware", "--port", str(port)]
        words += ["--upstream", f"http://127.0.0.1:{place.engine}", "--policy", str(_rendered(place, *flags))]
        return _alone(place, "middleware", [*words, "--served-model-name", MODEL], port)

    return start


@contextlib.contextmanager
def stack(place: Place) -> Iterator[Running]:
    """`vllm serve`, as a user starts it; supervisord and the stand-in below it do not count."""
    port = free_port()
    run_dir = place.folder / f"run-{port}"
    env = {
        "VLLM_SHIM_RUN_DIR": str(run_dir),
        "VLLM_SHIM_LOG": str(place.folder / "shim.log"),
        "VLLM_SHIM_ENGINE": f"{sys.executable} {STAND_IN} --core {place.cores.load}",
        "VLLM_SHIM_PYTHON": sys.executable,
        **TRAINS,
    }
    words = [str(ROOT / "shims/bin/vllm"), *serve("--host", "127.0.0.1", "--port", str(port))]
    with process(words, place.log("stack"), core=place.cores.measured, env=env) as running:
        wait_until_it_chats(port, running, place.log("stack"), PATIENCE)
        yield Running(port, port + 1, {name: found(running.pid, name) for name in ("haproxy", "middleware")})


def found(supervisord: int, name: str) -> tuple[int, ...]:
    marks = {"haproxy": "/haproxy.cfg", "middleware": "-m middleware "}
    pids = tuple(pid for pid in family(supervisord) if marks[name] in command(pid))
    if not pids:
        raise Failed(f"supervisord runs no {name}")
    return pids


def _router(*flags: str) -> Callable[[Place], AbstractContextManager[Running]]:
    def start(place: Place) -> AbstractContextManager[Running]:
        port = free_port()
        words = [str(CONTENDERS / "bin/sglang-router"), "launch", "--host", "127.0.0.1", "--port", str(port)]
        words += ["--prometheus-port", str(port + 1), "--policy", "round_robin"]
        words += ["--worker-urls", f"http://127.0.0.1:{place.engine}", *flags]
        return _alone(place, "sglang-router", words, port)

    return start


def mux(place: Place) -> AbstractContextManager[Running]:
    port = free_port()
    script = place.folder / "engine.sh"
    script.write_text(MUX_SCRIPT.format(model=MODEL, port=place.engine))
    binary = next(CONTENDERS.glob(MUXD))
    words = [str(binary), "--listen-port", str(port), "--log-dir", str(place.folder / "mux"), str(script)]
    # Its own default is `debug`: two kilobytes of log a request.
    return _alone(place, "sglangmux", words, port, {"RUST_LOG": "info"})


def stock(place: Place) -> AbstractContextManager[Running]:
    port = free_port()
    words = [str(CONTENDERS / "bin/python"), str(HERE / "stock.py"), str(port), f"http://127.0.0.1:{place.engine}"]
    return _alone(place, "stock", words, port)


DIRECT = Contender("direct", "direct, no proxy", direct)
HAPROXY_DEFAULTS = Contender("haproxy-defaults", "haproxy without http-no-delay", _haproxy(""))
MIDDLEWARE = Contender("middleware", "our middleware", _middleware())
STACK = Contender("stack", "our whole stack", stack)
ROUTER = Contender("sglang-router", "sglang-router 0.3.2", _router())
STOCK = Contender("stock", "Starlette + httpx", stock)
QUIET_MIDDLEWARE = Contender(
    "middleware-quiet", "our middleware, no access log", _middleware("--disable-uvicorn-access-log"), requests_only=True
)
QUIET_ROUTER = Contender(
    "sglang-router-quiet", "sglang-router, no access log", _router("--log-level", "warn"), requests_only=True
)
CONTENDER_LIST = (
    DIRECT,
    Contender("haproxy", "haproxy", _haproxy("option http-no-delay")),
    MIDDLEWARE,
    QUIET_MIDDLEWARE,
    STACK,
    ROUTER,
    QUIET_ROUTER,
    Contender("sglangmux", "sglangmux 0.1.1", mux, streams=False),
    STOCK,
)


def settle() -> None:
    """What a start leaves to do is done before anything is measured."""
    time.sleep(0.3)
