"""The LoRA adapters that can be asked for by name: those of the start, and those loaded since.
Read by /v1/models and by the check of a request's model; changed by `middleware.endpoints.adapters`.
"""

import asyncio
from collections.abc import Iterator, Mapping


class Adapters:
    """Names and their paths. SGLang 0.5.23 loads again, in silence, whatever it once had: what counts is this list.

    "noisy" in adapters
    adapters["noisy"]                 # its path
    async with adapters.change("noisy"): ...
    """

    __slots__ = ("_changing", "_paths", "_waiting", "_work")

    def __init__(self, paths: Mapping[str, str]) -> None:
        self._paths = dict(paths)
        self._changing: dict[str, asyncio.Lock] = {}
        self._waiting: dict[str, int] = {}
        self._work: set[asyncio.Future[None]] = set()

    def __contains__(self, name: object) -> bool:
        return name in self._paths

    def __getitem__(self, name: str) -> str:
        return self._paths[name]

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._paths))

    def __len__(self) -> int:
        return len(self._paths)

    def add(self, name: str, path: str) -> None:
        self._paths[name] = path

    def remove(self, name: str) -> None:
        self._paths.pop(name, None)

    def reset(self, paths: Mapping[str, str]) -> None:
        """An engine that started anew has those of the start, and no others."""
        self._paths = dict(paths)

    def keep(self, work: "asyncio.Future[None]") -> None:
        """Until it is done, though nobody may wait for it any more."""
        self._work.add(work)
        work.add_done_callback(self._done)

    def _done(self, work: "asyncio.Future[None]") -> None:
        self._work.discard(work)
        if not work.cancelled():
            work.exception()  # Who waited has it; who no longer waits is not told by asyncio either.

    def change(self, name: str) -> "_Change":
        """One change of a name at a time; the lock is forgotten with the last that waits for it."""
        return _Change(self._changing, self._waiting, name)


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
