"""`seed`: forwarded, and heeded by SGLang only with --enable-deterministic-inference; otherwise counted.
A repair of the tables.
"""

from middleware.fields.bound import Asking, Server
from middleware.fields.draft import Draft
from middleware.fields.tally import SEED

NO_SEED = -1  # In vLLM.


def _seeded(draft: Draft, server: Server) -> None:
    if SEED not in draft.fields:
        return
    if draft.number(SEED) == NO_SEED:
        draft.drop(SEED)
    elif not draft.policy.deterministic:
        server.tally.count(SEED)


def _unseeded(draft: Draft, server: Server) -> None:
    """SGLang's /v1/responses has no such field."""
    if SEED in draft.fields:
        server.tally.count(SEED)
        draft.drop(SEED)


seeded = Asking(_seeded)
unseeded = Asking(_unseeded)
