"""A stand-in for SGLang 0.5.23: the same command line, ports, probes and answers, without a model.

    python tests/fakes/sglang.py --port 30000 [--host ADDR] [--served-model-name NAME] [--delay-ms 5] [any SGLang flag]

Every flag it does not know is accepted; /_stats repeats the command line. It answers what a real SGLang was recorded
to answer (recordings/), with as many tokens as `max_tokens` asks for (16 if it does not).

Paths
  GET  /health /health_generate /ready /ping    200 without a body; 503 while loading and after SIGTERM
  GET  /v1/models, /v1/models/NAME, /metrics    as recorded; num_running_reqs is the true number, and
                                                realtime_tokens_total that of chunks
  POST /v1/chat/completions /v1/completions /generate [/v1/responses]   streamed if "stream" is true
  ANY  /echo...  /status/CODE                   what was asked, as JSON, with two Set-Cookie; an error of that status
  POST /abort_request, ANY /flush_cache         with abort_all what runs ends with "abort"; 400 while anything runs
  POST /pause_generation /continue_generation   new requests wait, and with "in_place" tokens too
  POST /update_weights_from_disk, /update_weight_version   200 for a folder that is there; the model is renamed
  POST /release_memory_occupation /resume_memory_occupation   one that is busy dies of the first, and of a tag that
                                                was not released of the second
  GET  /model_info /server_info /v1/loads       the weights' version, the ranks, what runs
  GET  /_stats                                  requests, active, peak_active, disconnects, chunks, generating, argv,
                                                environ, orders (a trainer's, above)
  ANY  /_exit?code=N                            ends the process at once, as a crash does

Headers of a request, on any path
  x-standin-delay-ms: N      the token clock for this request (a non-stream answer takes its tokens' time too)
  x-standin-mark: TEXT       each token of a chat or completion is TEXT and its number
  x-standin: echo | gzip | status=CODE | slow=SECONDS
             drop            closes before a header
             truncate        promises 100 bytes and sends 8
             garbage         sends what is no HTTP, in the place of a head; half-head: a part of one; and closes
             cut-after=N     resets the connection after N events of a stream; close-after=N: closes it
             half-after=N    sends a half of the next event and closes; garbage-after=N: what is no chunk, and waits
             stall=SECONDS   makes a pause after two events
             trickle         sends each event in three pieces
             early           answers 413 when the head is there, and reads the body afterwards; early-close: and closes

Environment
  STANDIN_DELAY_MS=N         the token clock; 0, the default, sends all at once
  STANDIN_LOAD_SECONDS=S     /health answers 503 for so long
  STANDIN_LOAD_REFUSES=1     and the port is closed for so long, as SGLang's is
  STANDIN_DEVICE=FOLDER      a device with room for one: who starts or resumes beside another dies; FOLDER/events has
                             who came and went when
  STANDIN_FREES_NOTHING=1    a release answers OK, and no more
  STANDIN_RELEASE_SECONDS=S, STANDIN_RESUME_SECONDS=S   how long each takes
  STANDIN_UPDATE_SECONDS=S   how long weights take to be loaded
  STANDIN_EXIT=CODE          prints an error and exits at start
  STANDIN_CHILDREN=N         child processes that end with it (default 2, like the scheduler and the detokenizer);
                             when one of them dies, it dies
  STANDIN_CHILDREN_SETSID=1  each of them leads a session of its own, and outlives a parent that is killed
  STANDIN_SAYS=TEXT          this line, at the start
  STANDIN_QUIET=1            no line for each request on standard output

SIGTERM and SIGINT: /health turns 503, running requests finish, then it exits with 0.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Coroutine

from tests.fakes.engine import Engine
from tests.fakes.occupation import Occupation
from tests.fakes.recorded import Recorded
from tests.fakes.training import Training

CHILDREN = ("sglang::scheduler", "sglang::detokenizer")
PR_SET_PDEATHSIG = 1


def main() -> int:
    parser = argparse.ArgumentParser(allow_abbrev=False, add_help=False)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=30000)
    parser.add_argument("--served-model-name", default="")
    parser.add_argument("--model-path", "--model", default="smollm2-135m")
    parser.add_argument("--delay-ms", type=float, default=float(os.environ.get("STANDIN_DELAY_MS", "0")))
    options, _ = parser.parse_known_args()
    if "STANDIN_SAYS" in os.environ:
        print(os.environ["STANDIN_SAYS"], flush=True)
    if "STANDIN_EXIT" in os.environ:
        print("Traceback (most recent call last):", file=sys.stderr)
        print("ValueError: the stand-in was told to fail at its start (STANDIN_EXIT)", file=sys.stderr, flush=True)
        return int(os.environ["STANDIN_EXIT"])
    load_seconds = float(os.environ.get("STANDIN_LOAD_SECONDS", "0"))
    name = options.served_model_name or options.model_path
    engine = Engine(
        argv=sys.argv[1:],
        recorded=Recorded(name),
        delay=options.delay_ms / 1000,
        ready_at=time.monotonic() + load_seconds,
        quiet=os.environ.get("STANDIN_QUIET") == "1",
        occupation=Occupation(name),
        training=Training(options.model_path),
    )
    engine.occupation.take()
    children: list[subprocess.Popen[bytes]] = []
    try:
        run(serve(engine, options.host, options.port, children))
    except OSError as exc:
        print(f"[Errno {exc.errno}] error while attempting to bind: {exc.strerror}", file=sys.stderr, flush=True)
        return 1
    finally:
        for child in children:
            child.terminate()
            child.wait()
        engine.occupation.leave()
    return 0


async def serve(engine: Engine, host: str, port: int, children: list[subprocess.Popen[bytes]]) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    # Behind the handlers: who sees the children may send a signal.
    children += [start_child(CHILDREN[n % 2]) for n in range(int(os.environ.get("STANDIN_CHILDREN", "2")))]
    watching = loop.create_task(watch(children))
    if os.environ.get("STANDIN_LOAD_REFUSES") == "1":
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), max(0.0, engine.ready_at - time.monotonic()))
    if not stop.is_set():
        server = await loop.create_server(engine.conversation, host, port, backlog=2048)
        print(f"INFO:     Uvicorn running on http://{host}:{port}", flush=True)
        print("The server is fired up and ready to roll!", flush=True)
        await stop.wait()
        engine.occupation.note("leaves")
        engine.stopping = True
        server.close()
        await engine.idle()
    print("The server has shut down.", flush=True)
    watching.cancel()


async def watch(children: list[subprocess.Popen[bytes]]) -> None:
    """A dead scheduler takes the server with it."""
    while True:
        await asyncio.sleep(0.1)
        dead = [child for child in children if child.poll() is not None]
        if dead:
            print(f"Rank 0 scheduler died with exit code {dead[0].returncode}.", file=sys.stderr, flush=True)
            for child in children:
                child.kill()
            os._exit(1)


def start_child(name: str) -> subprocess.Popen[bytes]:
    apart = os.environ.get("STANDIN_CHILDREN_SETSID") == "1"
    prctl = ctypes.CDLL(None).prctl

    def die_with_parent() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    return subprocess.Popen(
        [name, "infinity"],
        executable="/bin/sleep",
        stdin=subprocess.DEVNULL,
        start_new_session=apart,
        preexec_fn=None if apart else die_with_parent,  # noqa: PLW1509  (no thread has been started)
    )


def run(main: Coroutine[None, None, None]) -> None:
    try:
        import uvloop
    except ImportError:
        asyncio.run(main)
    else:
        uvloop.run(main)


if __name__ == "__main__":
    sys.exit(main())
