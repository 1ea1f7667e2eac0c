"""What the server knows of weights that change: the pause, the updates, and what was refused of a trainer.
Made by `middleware.app`, reached by the endpoints through the context.
"""

from dataclasses import dataclass, field

from middleware.weights.pause import Pause
from middleware.weights.transfer import Transfers
from middleware.weights.update import Updates


@dataclass(frozen=True, slots=True)
class Weights:
    pause: Pause
    updates: Updates
    transfers: Transfers = field(default_factory=Transfers)
