"""An operator's orders: bring a member, put it away, and wait until that is so.
Called by `Switcher`; they set what the next look at the members reads, and change no state themselves.
"""

import asyncio
from dataclasses import replace

from switcher.entry import Entry, Order
from switcher.exceptions import Unavailable
from switcher.spec import Tier
from switcher.states import State


def put_away(entry: Entry, tier: Tier) -> Order | None:
    """The order to wait for; None: it is so already. Unavailable if it must not be put away now."""
    entry.want = None
    if entry.state is State.STOPPED or (entry.state is State.ASLEEP and tier is not Tier.STOPPED):
        return None
    if busy := entry.busy:
        raise Unavailable(409, f"{entry.name} cannot be put away now: {busy}.")
    if entry.state is State.BACKOFF:
        # It may be tried again at once: somebody looks after it.
        entry.backoff.clear()
    if entry.away is not None:
        # It does not come back by itself.
        entry.away = replace(entry.away, successor="")
    if entry.order is None:
        entry.order = Order(tier)
    elif tier is Tier.STOPPED:
        entry.order.tier = tier
    return entry.order


async def ended(order: Order) -> State:
    """The state it came to. Who is cancelled here leaves the order in force."""
    await asyncio.wait([order.done])
    return order.done.result()
