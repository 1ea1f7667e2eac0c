"""THE table of ways to die: how each is brought about, and what the container's last words must say of it.
`test_deaths` tries them over the stand-in and, by hand, on the real engine; `python -m tests.life.deaths` prints what
came out as a table for a note.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.life import memory
from tests.server import ROOT, STAND_IN, Server, wait_for

MODEL = ROOT / ".engine/SmolLM2-135M-Instruct"
REAL = str(ROOT / "cpu_engine/launch")
PATIENCE = 300.0
KUBERNETES = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}
Context = contextlib.AbstractContextManager[object]


@dataclass(frozen=True, slots=True)
class Way:
    """`{folder}` in a word or a value is the folder that `prepare` has filled."""

    name: str
    code: int
    says: Sequence[str]  # patterns, each somewhere in the last words
    model: str = "stand-in"
    words: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    real: bool = False  # the real engine instead of the stand-in
    prepare: Callable[[Path], None] = lambda _: None
    meanwhile: Callable[[Server], Context] = lambda _: contextlib.nullcontext()  # from the start on
    kill: Callable[[Server], None] | None = None  # once it is ready; None: it dies by itself
    limit_bytes: int = 0  # of the memory


@dataclass(frozen=True, slots=True)
class Death:
    code: int
    seconds: float
    words: list[str]  # the last lines of the container's output
    shim_log: str


def die(way: Way, folder: Path) -> Death:
    way.prepare(folder)
    env = {**KUBERNETES, **{name: value.format(folder=folder) for name, value in way.env.items()}}
    model = str(MODEL) if way.real and way.model == "stand-in" else way.model.format(folder=folder)
    words = (*way.words, *(("--max-model-len", "2048") if way.real else ()))
    with contextlib.ExitStack() as stack:
        group = stack.enter_context(memory.group(way.limit_bytes)) if way.limit_bytes else None
        server = Server(folder, model, *words, engine=REAL if way.real else STAND_IN, env=env)
        stack.callback(server.close)
        if group is not None:
            (group / "cgroup.procs").write_text(str(server.process.pid))
        stack.enter_context(way.meanwhile(server))
        if way.kill is not None:
            server.wait_ready(PATIENCE)
            way.kill(server)
        began = time.monotonic()
        code = server.wait_end(PATIENCE)
        shim_log = server.log.read_text() if server.log.exists() else ""
        return Death(code, time.monotonic() - began, server.output.splitlines()[-40:], shim_log)


def missing(way: Way, death: Death) -> list[str]:
    """What it should have said, at the end of its output and of the shim's log, and did not."""
    places = {"output": "\n".join(death.words), "the shim's log": death.shim_log}
    return [f"{said} in {name}" for said in way.says for name, text in places.items() if not re.search(said, text)]


def _scheduler(server: Server) -> int:
    return next(pid for pid, words in server.processes().items() if "scheduler" in words)


def _kill(number: signal.Signals, whom: Callable[[Server], int]) -> Callable[[Server], None]:
    return lambda server: os.kill(whom(server), number)


def _engine(server: Server) -> int:
    return server.pid("sglang")


def _hang(server: Server) -> None:
    """A request runs, and the scheduler does nothing any more."""
    model = server.client.get("/v1/models").json()["data"][0]["id"]
    body = {"model": model, "prompt": "a", "max_tokens": 1500, "stream": True, "ignore_eos": True}
    begun = threading.Event()

    def ask() -> None:
        with server.client.stream("POST", "/v1/completions", json=body) as answer:
            for _ in answer.iter_lines():
                begun.set()

    threading.Thread(target=ask, daemon=True).start()
    begun.wait(PATIENCE)
    os.kill(_scheduler(server), signal.SIGSTOP)


def _own_haproxy(folder: Path) -> None:
    found = shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/local/sbin:/usr/sbin")
    assert found is not None
    shutil.copy(found, folder / "haproxy")


def _lose_haproxy(server: Server) -> None:
    """The file is gone when it has to be started again, as after a botched repair in the container."""
    (server.run_dir.parent / "haproxy").unlink()
    os.kill(server.pid("haproxy"), signal.SIGKILL)


@contextlib.contextmanager
def _engines_port_is_stolen(server: Server) -> Iterator[None]:
    wait_for(lambda: "spawned: 'sglang'" in server.output, "the engine to be started")
    with socket.create_server(("127.0.0.1", server.port + 1)):
        yield


def _unknown_model(folder: Path) -> None:
    shutil.copytree(MODEL, folder / "model")
    config = folder / "model/config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "architectures": ["NobodyForCausalLM"]}))


def _hungry(folder: Path) -> None:
    (folder / "hungry.py").write_text("taken = []\nwhile True:\n    taken.append(b'x' * (1 << 20))\n")


SAID = re.compile(r"\[supervisor\] (?!the last \d+ lines)|vllm: error")
GONE = r"\[supervisor\] sglang: "
LOST = r"; lost after it had been ready; restart policy is exit"
EARLY = r" in phase \w+; died before it was ready"
# torch 2.13, of a ROCm build.
OUT_OF_MEMORY = (
    "torch.OutOfMemoryError: HIP out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 191.98 GiB of"
    " which 1.21 GiB is free."
)
STAND_INS: tuple[Way, ...] = (
    Way("bad flag of vLLM's", 2, (r"error: .*--no-such-flag",), words=("--no-such-flag",)),
    Way(
        "bad value for a flag of SGLang's",
        2,
        (r"error: --max-total-tokens: 'many' is not a number",),
        env={"VLLM_SHIM_ENGINE_ARGS": "--max-total-tokens many"},
    ),
    Way("model folder missing", 1, (r"error: .*/no/such/folder does not exist",), model="/no/such/folder"),
    Way(
        "haproxy missing later",
        127,
        (r"haproxy: exit code 127; exits in a row", "No such file or directory"),
        prepare=_own_haproxy,
        env={"PATH": f"{{folder}}:{os.environ['PATH']}"},
        kill=_lose_haproxy,
    ),
    Way("exit at the start", 7, (GONE + "exit code 7" + EARLY, "STANDIN_EXIT"), env={"STANDIN_EXIT": "7"}),
    Way(
        "out of GPU memory at load",
        1,
        (GONE + "exit code 1" + EARLY, "out of GPU memory: .*--gpu-memory-utilization"),
        env={"STANDIN_EXIT": "1", "STANDIN_SAYS": OUT_OF_MEMORY},
    ),
    Way("kill -9 of the engine", 137, (GONE + "signal SIGKILL" + LOST,), kill=_kill(signal.SIGKILL, _engine)),
    Way(
        "SIGSEGV of the engine",
        139,
        (GONE + r"signal SIGSEGV.*, a crash in compiled code.*" + LOST,),
        kill=_kill(signal.SIGSEGV, _engine),
    ),
    Way(
        "the kernel kills the engine for memory",
        137,
        (GONE + r"signal SIGKILL in phase start, killed by the kernel for memory: the container's limit is 0.156 GiB",),
        prepare=_hungry,
        env={"VLLM_SHIM_ENGINE": f"{sys.executable} {{folder}}/hungry.py"},
        limit_bytes=160 << 20,
    ),
)
REALS: tuple[Way, ...] = (
    Way(
        "model not on the hub",
        1,
        (GONE, "model not in the cache: "),
        model="nobody/none",
        env={"HF_HUB_OFFLINE": "1"},
        real=True,
    ),
    Way(
        "architecture unknown",
        137,
        (GONE, "unknown architecture: "),
        prepare=_unknown_model,
        model="{folder}/model",
        real=True,
    ),
    Way("engine's port stolen", 137, (GONE, "port taken: "), meanwhile=_engines_port_is_stolen, real=True),
    Way(
        "kill -9 of SGLang's parent",
        137,
        (GONE + "signal SIGKILL" + LOST,),
        kill=_kill(signal.SIGKILL, _engine),
        real=True,
    ),
    Way("kill -9 of a scheduler", 137, (GONE, LOST), kill=_kill(signal.SIGKILL, _scheduler), real=True),
    Way("SIGSEGV of a scheduler", 137, (GONE, LOST), kill=_kill(signal.SIGSEGV, _scheduler), real=True),
    Way(
        "hang of a scheduler",
        137,
        (GONE + r"signal SIGKILL; wedged: no token for \d+ s while 1 request ran or waited" + LOST,),
        env={"VLLM_SHIM_STALL_SECONDS": "10"},
        kill=_hang,
        real=True,
    ),
    Way(
        "memory limit below the model", 137, (GONE, "killed by the kernel for memory"), limit_bytes=900 << 20, real=True
    ),
)


def main() -> int:
    print("| way to die | exit code | after | the last words |\n|---|---|---|---|")
    failed = 0
    for way in (*STAND_INS, *REALS):
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
            death = die(way, Path(folder))
        lacks = missing(way, death)
        failed += bool(lacks) or death.code != way.code
        words = [line for line in death.words if SAID.match(line)][-3:]
        told = "<br>".join(line.removeprefix("[supervisor] ").replace("|", "\\|") for line in words)
        name = f"{way.name}{'' if way.real else ' (stand-in)'}"
        print(f"| {name} | {death.code} | {death.seconds:.1f} s | {told} |", flush=True)
        for lack in lacks:
            print(f"    lacks {lack}; code {death.code}", *death.words, sep="\n      ", file=sys.stderr, flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
