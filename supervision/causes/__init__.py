"""THE table of causes: what an engine's last lines say of its death, what an operator does about it, and whether
another try can help. `supervision.diagnosis` walks it: the first that has a sign is it, consequences stand last.
"""

from supervision.causes import machine, model
from supervision.causes.machine import OUT_OF_MEMORY
from supervision.causes.record import Cause, Heals, Sign

__all__ = ["CAUSES", "ONCE_SERVED", "OUT_OF_MEMORY", "Cause", "Heals", "Sign"]

CAUSES: tuple[Cause, ...] = (*model.CAUSES, *machine.CAUSES)
# What has served had a flag, a model and a GPU: such words in its log are about a request.
ONCE_SERVED = tuple(cause for cause in CAUSES if cause.heals is not Heals.NEVER)
