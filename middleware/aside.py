"""Work that grows with a request or with its answer, kept off the event loop, where every stream would wait for it.
Used by whoever reads, writes or computes something whose size a client chooses.
"""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

# Bytes. What is smaller is done sooner than a thread is woken for it.
LARGE = 64 * 1024


async def aside(size: int, work: Callable[[], T]) -> T:
    """What the work returns: of a large thing in a thread."""
    return await asyncio.to_thread(work) if size > LARGE else work()
