"""Counts of the requests that ask for what SGLang does not do and vLLM does, with one line in the log for each kind.
Owned by the `Server` of `fields.bound`; repairs that count get it from there.
"""

import logging
from collections import Counter

log = logging.getLogger("middleware.fields")

SEED = "seed"
TOOLS = "tools"

WORDS = {
    SEED: "A request has a seed, which SGLang heeds only with --enable-deterministic-inference: sampling is not "
    "repeatable. Said once.",
    TOOLS: "A request has tools, and the server no --tool-call-parser or no --enable-auto-tool-choice: answered 400, "
    "as vLLM does. Said once.",
}


class Tally:
    """tally.count(SEED)
    tally.counts[SEED]
    """

    __slots__ = ("counts",)

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def count(self, kind: str) -> None:
        self.counts[kind] += 1
        if self.counts[kind] == 1:
            log.warning(WORDS[kind])
