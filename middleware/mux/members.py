"""Each model of the specification, made: its own application, its driver, and its requests that run.
Called by `middleware.mux.app`, at the start and at each reload; what stays the same is kept.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

from middleware.access import ANY_METHOD, Keys
from middleware.answers import Answers
from middleware.app import Built, build
from middleware.calls import Calls
from middleware.device_memory import DeviceMemory
from middleware.errors import unauthorized
from middleware.intake import BODY_LIMIT
from middleware.mux import named
from middleware.mux.driver import SglangDriver
from middleware.mux.other import Forward, OtherDriver
from middleware.mux.programs import Programs
from middleware.mux.running import Running
from middleware.policy import Policy
from middleware.route import Access, Route
from middleware.settings import Settings, read_policy
from middleware.upstream import Pool
from switcher.driver import Driver
from switcher.spec import Member

MemoryOf = Callable[[tuple[int, ...]], DeviceMemory]


@dataclass(frozen=True, slots=True)
class Served:
    """One model of several. `built` is None of what is no SGLang of ours."""

    member: Member
    app: ASGIApp
    driver: Driver
    running: Running
    admits: Callable[[Scope], bool]
    lifespan: Callable[[], AbstractAsyncContextManager[None]]
    pool: Pool
    policy: Policy
    built: Built | None = None

    @property
    def name(self) -> str:
        return self.member.name

    @property
    def body_limit(self) -> int:
        return self.policy.max_request_body_bytes or BODY_LIMIT

    def take(self, member: Member) -> None:
        """What a reload changes of it while its process goes on."""
        self.pool.within = member.upstream_seconds or None
        if self.built is not None:
            self.built.context.model.rename(member.names)

    def has_adapter(self, name: str) -> bool:
        return self.built is not None and name in self.built.context.model.adapters

    @property
    def trouble(self) -> str:
        """Why its memory cannot be released, once that was seen."""
        return self.built.context.sleeping.saver.trouble if self.built is not None else ""


def make(member: Member, settings: Settings, programs: Programs, memory: MemoryOf = DeviceMemory) -> Served:
    """`settings` are those of the whole: what its command line says is in the member's own policy."""
    return (
        _sglang(member, settings, programs, memory) if member.kind == "sglang" else _other(member, settings, programs)
    )


def _sglang(member: Member, settings: Settings, programs: Programs, memory: MemoryOf) -> Served:
    own = replace(
        settings,
        upstream_host="127.0.0.1",
        upstream_port=member.port,
        ready_file=_path(member.ready_file),
        engine_log=_path(member.engine_log),
        control_socket=None,
        page_port=0,
        models=None,
        served_model_names=member.names,
        upstream_seconds=member.upstream_seconds,
        policy=read_policy(_path(member.policy)),
    )
    built = build(own, memory(member.devices))
    running = Running()
    driver = SglangDriver(member, built.context.engine, built.context.sleeping, programs, running)

    def admits(scope: Scope) -> bool:
        return built.front.admits(scope) is not None

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        with named.of(member.name):
            await built.app(scope, receive, send)

    return Served(member, app, driver, running, admits, built.lifespan, built.pool, own.policy, built)


def _other(member: Member, settings: Settings, programs: Programs) -> Served:
    pool = Pool("127.0.0.1", member.port)
    pool.within = member.upstream_seconds or None
    running = Running()
    keys = Keys(settings.api_keys)
    any_route = Route("/{path:path}", (), Access.KEY)
    policy = read_policy(_path(member.policy))
    answers = Answers(policy)
    forward = Forward(pool, answers)

    def admits(scope: Scope) -> bool:
        """Nothing is known of its paths: each needs the key, by OPTIONS too, which would start it as any other does."""
        return keys.allow(ANY_METHOD, scope["path"], any_route, scope["headers"])

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if admits(scope):
            await forward(scope, receive, send)
        else:
            await unauthorized()(scope, receive, answers.identified(scope, send))

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        try:
            yield
        finally:
            pool.close()

    driver = OtherDriver(member, Calls(pool), programs, running)
    return Served(member, app, driver, running, admits, lifespan, pool, policy)


def _path(text: str) -> Path | None:
    return Path(text) if text else None
