"""A member that is no SGLang of ours: what its requests are and how its answers look is its own, byte by byte.
Made by `middleware.mux.members`; the driver starts and stops it, and ready is what its health path says.
"""

import asyncio
import logging

from starlette.types import Receive, Scope, Send

from middleware.answers import Answers
from middleware.calls import Calls, failed
from middleware.dialect.ids import assigned
from middleware.errors import Refused
from middleware.flow import Flow
from middleware.headers import header, request_head, response_headers
from middleware.intake import ClientGone, attend, first_piece
from middleware.mux.driver import ready
from middleware.mux.programs import Programs
from middleware.mux.running import ABORTED, Running
from middleware.relay import relay
from middleware.upstream import Aborted, Exchange, Pool, UpstreamError
from switcher.exceptions import DriverError
from switcher.spec import Member

log = logging.getLogger("middleware.mux")

HEALTH_SECONDS = 5.0


class Forward:
    """An ASGI callable."""

    def __init__(self, pool: Pool, answers: Answers) -> None:
        self._pool = pool
        self._answers = answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange(self._pool)
        attendant: asyncio.Task[Refused | None] | None = None
        send = self._answers.dressed(scope, send)
        try:
            body, more = await first_piece(receive)
            headers = scope["headers"]
            declared = header(headers, b"content-length")
            length = int(declared) if declared is not None and declared.isdigit() else None
            if length is None and body and not more:
                length = len(body)
            chunked = more and length is None
            target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
            head = request_head(scope["method"], target, self._pool.authority, headers, length=length, chunked=chunked)
            await exchange.open(head, body, head_only=scope["method"] == "HEAD", whole=not more, chunked=chunked)
            attendant = asyncio.create_task(attend(receive, exchange, more=more))
            answer = await exchange.answer(within=self._pool.within)
            kept = response_headers(answer.status, answer.headers)
            await send({"type": "http.response.start", "status": answer.status, "headers": kept})
            await relay(answer, send, None, None, Flow(), assigned(scope))
        except Refused as refused:
            await refused.response(scope, receive, send)
        except (ClientGone, Aborted):
            pass
        except UpstreamError as failure:
            log.warning("%s: %s %s: %s", assigned(scope), scope["method"], scope["path"], failure)
            await failed(failure)(scope, receive, send)
        finally:
            if attendant is not None:
                attendant.cancel()
            exchange.close()


class OtherDriver:
    """Implements `switcher.driver.Driver`; its tier is always `stopped`."""

    def __init__(self, member: Member, calls: Calls, programs: Programs, running: Running) -> None:
        self._member = member
        self._calls = calls
        self._programs = programs
        self._running = running

    async def start(self) -> None:
        await self._programs.start(self._member.program)
        await ready(self._programs, self._member.program, self._is_healthy)

    async def stop(self) -> None:
        await self._programs.stop(self._member.program)

    def can_sleep(self) -> bool:
        return False

    async def sleep(self) -> None:
        raise DriverError("it is no SGLang, and cannot sleep")

    async def wake(self) -> None:
        raise DriverError("it is no SGLang, and cannot be woken")

    async def abort(self) -> None:
        await self._running.end(ABORTED)

    async def gone(self) -> bool:
        return not self._programs.runs(self._member.program)

    def alive(self) -> bool:
        return self._programs.runs(self._member.program)

    def busy_reason(self) -> str | None:
        return None

    async def _is_healthy(self) -> bool:
        try:
            async with asyncio.timeout(HEALTH_SECONDS):
                status, _ = await self._calls.fetch("GET", self._member.health)
        except (TimeoutError, UpstreamError):
            return False
        return 200 <= status < 300
