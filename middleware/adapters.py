"""The LoRA adapters that can be asked for by name: those of the start, and those loaded since.
Read by /v1/models and by the check of a request's model; changed by `middleware.endpoints.adapters`.
"""

import asyncio
import itertools
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextvars import ContextVar, Token

from middleware.together import Together

# What the request that is being served runs on; it counts until its answer is over.
_RUNNING: ContextVar["list[Adapter] | None"] = ContextVar("adapters", default=None)
_NUMBERED = re.compile(r"(.+)#(\d+)", re.DOTALL)


class Adapter:
    """One as SGLang has it: its name there and its path. It is unloaded when nobody runs on it any more."""

    __slots__ = ("_when_idle", "inside", "path", "running")

    def __init__(self, inside: str, path: str) -> None:
        self.inside = inside
        self.path = path
        self.running = 0
        self._when_idle: Callable[[], None] | None = None

    def enter(self) -> None:
        self.running += 1

    def leave(self) -> None:
        self.running -= 1
        if not self.running and self._when_idle is not None:
            self._when_idle()
            self._when_idle = None

    def when_idle(self, call: Callable[[], None]) -> None:
        if self.running:
            self._when_idle = call
        else:
            call()


class Adapters:
    """What clients call an adapter, and what SGLang does. SGLang has each load under a name of its own, so that the old
    one serves until the new one is there, and is unloaded when its last request is done: SGLang 0.5.23 stops every load
    while it waits for that, and loads again, in silence, whatever it once had under a name.

    "noisy" in adapters
    adapters["noisy"]                     # its path
    with adapters.serving():              # around a request
        adapters.use("noisy")             # SGLang's name for it
    async with adapters.change("noisy"):  # one change of a name at a time
        old = adapters.put("noisy", adapters.fresh("noisy", "/new"))
    """

    __slots__ = ("_adapters", "_changing", "_named", "_numbers", "_retired", "_waiting", "_work", "in_place", "loading")

    def __init__(self, paths: Mapping[str, str]) -> None:
        self._named = frozenset(paths)
        self._adapters = {name: Adapter(name, path) for name, path in paths.items()}
        # On its way out of SGLang, by its name there.
        self._retired: dict[str, Adapter] = {}
        # From the clock: an engine that outlived a middleware has heard the names of both.
        self._numbers = itertools.count(int(time.time()))
        self._changing: dict[str, asyncio.Lock] = {}
        self._waiting: dict[str, int] = {}
        self._work: set[asyncio.Future[None]] = set()
        self.loading = asyncio.Lock()
        # Of /load_lora_adapter, by name and path: prime-rl waits 30 s and asks again.
        self.in_place = Together()

    def __contains__(self, name: object) -> bool:
        return name in self._adapters

    def __getitem__(self, name: str) -> str:
        return self._adapters[name].path

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._adapters))

    def __len__(self) -> int:
        return len(self._adapters)

    def fresh(self, name: str, path: str) -> Adapter:
        return Adapter(f"{name}#{next(self._numbers)}", path)

    def put(self, name: str, adapter: Adapter) -> Adapter | None:
        """From now on the name means this one; the one it meant."""
        old = self._adapters.get(name)
        self._adapters[name] = adapter
        return old

    def take(self, name: str) -> Adapter:
        return self._adapters.pop(name)

    def retire(self, adapter: Adapter, unload: Callable[[], None]) -> None:
        self._retired[adapter.inside] = adapter
        adapter.when_idle(unload)

    def retired(self, adapter: Adapter, *, gone: bool) -> None:
        """SGLang was told. What it kept all the same never comes back under its name, unless it is of the start."""
        if gone or not self._age(adapter.inside):
            self._retired.pop(adapter.inside, None)

    def reset(self, paths: Mapping[str, str]) -> None:
        """What SGLang has when it becomes ready. An engine that started anew has those of the start, and no others; one
        that was silent for a while has all, also what it is about to unload."""
        known = {one.inside: one for one in self._adapters.values()}
        self._adapters = {}
        for inside in sorted((one for one in paths if one not in self._retired), key=self._age):
            adapter = self._adapters[self._name(inside)] = known.get(inside) or Adapter(inside, "")
            adapter.path = paths[inside]

    def _name(self, inside: str) -> str:
        found = None if inside in self._named else _NUMBERED.fullmatch(inside)
        return found[1] if found else inside

    def _age(self, inside: str) -> int:
        found = None if inside in self._named else _NUMBERED.fullmatch(inside)
        return int(found[2]) if found else 0

    def use(self, name: str | None) -> str | None:
        """SGLang's name for what the request that is being served asks for; None where there is no such adapter."""
        adapter = self._adapters.get(name) if name else None
        if adapter is None:
            return None
        running = _RUNNING.get()
        if running is not None:
            adapter.enter()
            running.append(adapter)
        return adapter.inside

    def running(self) -> list[str]:
        """The names that requests are with SGLang for."""
        return [name for name, adapter in self._adapters.items() if adapter.running]

    def idle(self, among: Collection[str]) -> Adapter | None:
        """The first of SGLang's names that no request runs on."""
        known = {one.inside: one for one in (*self._adapters.values(), *self._retired.values())}
        return next((one for name in among if not (one := known.get(name) or Adapter(name, "")).running), None)

    def serving(self) -> "_Serving":
        return _Serving()

    def keep(self, work: "asyncio.Future[None]") -> None:
        """Until it is done: nobody waits for it."""
        self._work.add(work)
        work.add_done_callback(self._work.discard)

    def change(self, name: str) -> "_Change":
        """One change of a name at a time; the lock is forgotten with the last that waits for it."""
        return _Change(self._changing, self._waiting, name)


class _Serving:
    __slots__ = ("_token", "_used")

    def __init__(self) -> None:
        self._used: list[Adapter] = []
        self._token: Token[list[Adapter] | None] | None = None

    def __enter__(self) -> None:
        self._token = _RUNNING.set(self._used)

    def __exit__(self, *failure: object) -> None:
        if self._token is not None:
            _RUNNING.reset(self._token)
        for adapter in self._used:
            adapter.leave()


class _Change:
    __slots__ = ("_locks", "_name", "_waiting")

    def __init__(self, locks: dict[str, asyncio.Lock], waiting: dict[str, int], name: str) -> None:
        self._locks = locks
        self._waiting = waiting
        self._name = name

    async def __aenter__(self) -> None:
        name = self._name
        lock = self._locks.setdefault(name, asyncio.Lock())
        self._waiting[name] = self._waiting.get(name, 0) + 1
        try:
            await lock.acquire()
        except BaseException:
            self._leave()
            raise

    async def __aexit__(self, *failure: object) -> None:
        self._locks[self._name].release()
        self._leave()

    def _leave(self) -> None:
        name = self._name
        self._waiting[name] -= 1
        if not self._waiting[name]:
            del self._waiting[name], self._locks[name]
