"""The control socket of several models: how all of them are, an operator's orders to those awake, and the reload.
Served by `middleware.mux.house`; `vllm-to-sglang` asks it as it asks that of one model.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from middleware.context import Context
from middleware.control import Control, serve
from middleware.inside import part
from middleware.mux import told
from middleware.mux.house import House, living
from middleware.mux.members import Served
from middleware.settings import SettingsError
from operate import inside

Order = Callable[[Control, Request], Awaitable[JSONResponse]]
RECENT = 10


class MuxControl:
    """await MuxControl(house).serve(path)    # until it is cancelled"""

    def __init__(self, house: House) -> None:
        self._house = house
        self._began = time.time()

    async def serve(self, path: Path) -> None:
        routes = (
            Route("/status", self._status, methods=["GET"]),
            Route("/abort-all", self._abort_all, methods=["POST"]),
            Route("/flush", self._flush, methods=["POST"]),
            Route("/reload", self._reload, methods=["POST"]),
        )
        await serve(path, routes)

    async def _status(self, request: Request) -> JSONResponse:
        mine = await self._part()
        return JSONResponse(await asyncio.to_thread(inside.document, self._house.run_dir, mine))

    async def _part(self) -> dict[str, Any]:
        """The same fields as of one model, summed; the engine's are the switcher's."""
        parts = [await part(context, self._began) for _, context in self._living()]
        models = told.document(self._house)
        awake = [one["model"] for one in models["models"] if one["state"] == "awake"]
        healthy = self._house.is_switching
        return {
            "pid": parts[0]["pid"] if parts else None,
            "since": self._began,
            "engine": {
                "state": f"awake: {', '.join(awake)}" if awake else "asleep: nobody asks",
                "admits": healthy,
                "phase": None,
                "since": self._began,
                "started": None,
                "why": "" if healthy else "the switcher has ended",
                "stalled_seconds": max((one["engine"]["stalled_seconds"] for one in parts), default=0.0),
                "starts": sum(one["engine"]["starts"] for one in parts),
            },
            "requests": {
                name: _sum(one["requests"][name] for one in parts)
                for name in ("in_flight", "choices", "running", "waiting")
            },
            **{name: _together(one[name] for one in parts) for name in ("rewritten", "refused", "failed")},
            "faults": self._house.switcher.snapshot().faults + sum(one["faults"] for one in parts),
            "recent_errors": sorted(
                (error for one in parts for error in one["recent_errors"]), key=lambda error: float(error["at"])
            )[-RECENT:],
            "models": models,
        }

    async def _abort_all(self, request: Request) -> JSONResponse:
        return await self._each(Control.abort_all, request)

    async def _flush(self, request: Request) -> JSONResponse:
        return await self._each(Control.flush, request)

    async def _each(self, order: Order, request: Request) -> JSONResponse:
        """To every engine that is there; the worst of their answers is ours."""
        asked = self._living()
        answers = [await order(Control(context), request) for _, context in asked]
        if not answers:
            return JSONResponse({"done": False, "requests": 0, "said": "No model is awake."}, 409)
        said = [json.loads(bytes(answer.body)) for answer in answers]
        worst = max(range(len(answers)), key=lambda at: answers[at].status_code)
        sentences = " ".join(f"{one.name}: {answer['said']}" for (one, _), answer in zip(asked, said, strict=True))
        requests = sum(one["requests"] for one in said)
        left = {"left": sum(one["left"] for one in said)} if all("left" in one for one in said) else {}
        told_all = {"done": said[worst]["done"], "requests": requests, **left, "said": sentences}
        return JSONResponse(told_all, answers[worst].status_code)

    async def _reload(self, request: Request) -> JSONResponse:
        try:
            changes = await self._house.reload()
        except SettingsError as error:
            return JSONResponse({"done": False, "said": f"Nothing was changed: {error}."}, 409)
        return JSONResponse({"done": True, "said": changes})

    def _living(self) -> list[tuple[Served, Context]]:
        return living(self._house.served.values())


def _sum(numbers: Any) -> int | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None


def _together(counts: Any) -> dict[str, int]:
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return dict(total.most_common())
