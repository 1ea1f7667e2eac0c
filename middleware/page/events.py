"""The page's stream of events: the states at every change, the numbers every second, the timeline when it has grown.
Called by `middleware.page.app`, once for each browser that looks.
"""

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import AsyncGenerator
from typing import Any

from middleware.page.source import Document, Source
from operate import records

log = logging.getLogger("middleware.page")

NUMBERS_SECONDS = 1.0


async def events(source: Source) -> AsyncGenerator[str]:
    """Without an end."""
    numbers: dict[str, Any] = {"numbers": {}, "devices": []}
    # A state is told at once, though SGLang may take its time to tell how much it has to do.
    asking = asyncio.create_task(_keep(source, numbers))
    timeline: list[Document] | None = None
    try:
        yield event("server", await _server(source))
        async for _ in source.changes():
            models, logs = source.models(), sorted(source.logs())
            yield event("models", {"at": time.time(), "models": models, "logs": logs, **numbers})
            if (now := source.timeline()) != timeline:
                timeline = now
                yield event("timeline", now)
    finally:
        asking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asking


def event(name: str, document: object) -> str:
    """JSON has no line breaks of its own: it is one line."""
    return f"event: {name}\ndata: {json.dumps(document, separators=(',', ':'))}\n\n"


async def _keep(source: Source, known: dict[str, Any]) -> None:
    while True:
        try:
            known["numbers"], known["devices"] = await source.numbers(), await source.devices()
        except Exception:
            # The states are told without them.
            log.exception("the numbers of the page are not known")
            return
        await asyncio.sleep(NUMBERS_SECONDS)


async def _server(source: Source) -> Document:
    """What does not change while it runs. The plan's secrets were taken out when it was written."""
    plan, why = None, "this middleware was started by hand"
    if source.run_dir is not None:
        try:
            plan = await asyncio.to_thread(records.plan, source.run_dir)
        except records.Unknown as unknown:
            why = str(unknown)
    return {"orders": list(source.orders), "plan": plan, "no_plan": None if plan else why}
