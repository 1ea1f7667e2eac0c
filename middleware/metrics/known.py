"""All that is known when a page is written. The tables' own readers take what they need of it.
Made once, by `served`.
"""

from dataclasses import dataclass

from middleware.engine import Engine
from middleware.flow import Flow
from middleware.metrics.buckets import LONGEST_REQUEST_TOKENS
from middleware.metrics.counts import Counts
from middleware.metrics.ledger import Ledger
from middleware.model import Model
from middleware.policy import Policy

# SGLang may take long to tell, and what it told is shown as long as a scraper of every 15 s would keep it.
FRESH_SECONDS = 15.0


@dataclass(slots=True)
class Known:
    engine: Engine
    model: Model
    policy: Policy
    counts: Counts
    ledger: Ledger
    flow: Flow
    # How long ago the engine has told what is known of it; None if that is nothing, or of an engine that was.
    age: float | None = None

    @property
    def fresh(self) -> bool:
        """Whether that is so short a time that what its gauges say holds."""
        return self.age is not None and self.age < FRESH_SECONDS

    @property
    def longest(self) -> int | None:
        """The most tokens that a request may have; None before the first engine is ready, which may tell it."""
        ready = any(self.counts.engine_starts.values.values())
        return self.model.context_length or (LONGEST_REQUEST_TOKENS if ready else None)

    @property
    def model_name(self) -> str:
        """The first of the served names, as in vLLM."""
        return self.model.names[0] if self.model.names else ""

    def gauges(self, name: str) -> dict[str, float]:
        """A gauge of SGLang's by engine; empty while it is not known."""
        return self.ledger.gauges(name) if self.fresh else {}
