"""Weights that a trainer would send by NCCL: refused in sentences that name what to do, and remembered.
Used by `middleware.endpoints.transfer` and `weights`; SGLang 0.5.23 speaks another protocol on that wire.
"""

import logging

from middleware.errors import Refused, error

log = logging.getLogger("middleware.weights")

WHY = "SGLang runs behind this API, and receives weights by another protocol than vLLM's"
DISK = 'use weight_broadcast.type="filesystem" in prime-rl, on a volume that the trainer and this container share'
TRL = (
    "TRL and vLLM's own weight transfer have no other way than NCCL: save the weights to a shared volume, and call"
    ' /update_weights with {"weight_dir": "/the/folder"}'
)


class Transfers:
    """transfers.refuse("/init_broadcaster", DISK)   # Refused, 501
    transfers.nothing_came()                         # Refused, 400, for who asks for what was to come on that way
    """

    __slots__ = ("refused",)

    def __init__(self) -> None:
        self.refused = ""  # the path by which a trainer asked for it last

    def refuse(self, path: str, instead: str) -> Refused:
        self.refused = path
        log.error("%s is refused: %s; %s", path, WHY, instead)
        return Refused(error(501, f"{path} is not served: {WHY}; {instead}."))

    def nothing_came(self, instead: str) -> Refused:
        """4xx: prime-rl tries a 5xx ten times more, and has swallowed the first answer (its /init_broadcaster)."""
        before = f" {self.refused} was refused before." if self.refused else ""
        return Refused(error(400, f"No weights can come by NCCL or NIXL: {WHY}.{before} To train, {instead}."))
