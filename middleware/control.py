"""The control socket: how the server is, and the two orders an operator may give, for the pod's own user alone.
Served by `middleware.app` beside the API, on a Unix socket and never on TCP; `vllm-to-sglang` asks it.
"""

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from middleware.beside import serve_beside
from middleware.context import Context
from middleware.flow import ABORT
from middleware.inside import part
from middleware.upstream import ConnectFailed, UpstreamError
from operate import inside

log = logging.getLogger("middleware.control")

ENGINE_SECONDS = 10.0  # for SGLang to take an order; a scheduler that is busy with a long prefill takes its time
SETTLE_SECONDS = 5.0  # for what was aborted to end
UNKNOWN = -1  # in the place of SGLang's status


class Control:
    """await Control(context).serve(path)    # until it is cancelled"""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._flow = context.metrics.flow
        self._began = time.time()

    async def serve(self, path: Path) -> None:
        routes = (
            Route("/status", self._status_of(path.parent), methods=["GET"]),
            Route("/abort-all", self.abort_all, methods=["POST"]),
            Route("/flush", self.flush, methods=["POST"]),
        )
        await serve(path, routes)

    def _status_of(self, run_dir: Path) -> Callable[[Request], Awaitable[JSONResponse]]:
        async def status(request: Request) -> JSONResponse:
            mine = await part(self._context, self._began)
            # supervisord may hang, and a disk too: not on the event loop.
            return JSONResponse(await asyncio.to_thread(inside.document, run_dir, mine))

        return status

    async def abort_all(self, request: Request) -> JSONResponse:
        """SGLang takes the order and says nothing of what came of it: whether requests end is seen here."""
        flow = self._flow
        before = flow.requests
        status, _ = answer = await flow.abort_all(partial(self._order, ABORT))
        if status != 200:
            return self._undone("abort", answer)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_SECONDS):
                while flow.requests:  # noqa: ASYNC110 - a count on the hot path, which tells nobody
                    await asyncio.sleep(0.05)
        left = flow.requests
        said = f"{_requests(before)} ran or waited, and SGLang was told to abort all"
        said += f"; {_requests(left)} {_are(left)} with it now, new ones among them" if left else ""
        return JSONResponse({"done": True, "requests": before, "left": left, "said": f"{said}."})

    async def flush(self, request: Request) -> JSONResponse:
        status, _ = answer = await self._order("/flush_cache")
        if status == 200:
            return JSONResponse({"done": True, "requests": self._flow.requests, "said": "The prefix cache is empty."})
        return self._undone("flush", answer)

    async def _order(self, path: str, body: bytes = b"") -> tuple[int, str]:
        """SGLang's status; or 0, and why it was not asked; or UNKNOWN, and why its answer never came."""
        engine = self._context.engine
        if not engine.alive:
            return 0, f"the engine is {engine.state.value}: {engine.why}"
        try:
            async with asyncio.timeout(ENGINE_SECONDS):
                status, _ = await self._context.calls.fetch("POST", path, body)
        except TimeoutError:
            return UNKNOWN, f"SGLang did not answer within {ENGINE_SECONDS:g} s, and may still obey"
        except ConnectFailed as failure:
            return 0, f"SGLang could not be asked: {failure}"
        except UpstreamError as failure:
            return UNKNOWN, f"SGLang took the order and gave no answer: {failure}"
        return status, f"SGLang answered {status}"

    def _undone(self, what: str, answer: tuple[int, str]) -> JSONResponse:
        """0.5.23 answers 400 to a flush while requests run or wait, and says no more."""
        status, why = answer
        active = self._flow.requests
        if status == UNKNOWN:
            done = "the cache was flushed" if what == "flush" else "anything was aborted"
            said = f"It is not known whether {done}: {why}."
            return JSONResponse({"done": None, "requests": active, "said": said}, 504)
        if status == 400 and what == "flush":
            why = "SGLang flushes only while no request runs or waits, and "
            why += f"{_requests(active)} {_are(active)} with it" if active else "it still had one of its own; ask again"
        said = f"The cache was not flushed: {why}." if what == "flush" else f"Nothing was aborted: {why}."
        return JSONResponse({"done": False, "requests": active, "said": said}, 409 if status else 503)


async def serve(path: Path, routes: Sequence[Route]) -> None:
    """Until it is cancelled."""
    try:
        sock = listening_socket(path)
    except OSError as exc:
        # Requests are served without it.
        log.warning("the control socket %s cannot be made: %s", path, exc.strerror or exc)
        return
    await serve_beside(sock, Starlette(routes=routes))


def listening_socket(path: Path) -> socket.socket:
    """For our user alone from its first moment on; what an earlier middleware left there is replaced."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        _free(fresh)
        sock.bind(str(fresh))
        fresh.chmod(0o600)  # nobody can connect before listen()
        sock.listen()
        if path.is_dir() and not path.is_symlink():
            _free(path)
        fresh.replace(path)
    except OSError:
        sock.close()
        with contextlib.suppress(OSError):
            _free(fresh)
        raise
    return sock


def _free(path: Path) -> None:
    """A link or a file is nobody's here, and an empty folder too: it was mounted upon, or made by mistake."""
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


def _requests(number: int) -> str:
    return f"{number} request{'' if number == 1 else 's'}"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"
