"""All that is known when a page is written. The tables' own readers take what they need of it.
Made once, by `middleware.app`.
"""

from dataclasses import dataclass

from middleware.engine import Engine
from middleware.metrics.counts import Counts
from middleware.metrics.ledger import Ledger
from middleware.model import Model
from middleware.policy import Policy
from middleware.stall import Flow


@dataclass(slots=True)
class Known:
    engine: Engine
    model: Model
    policy: Policy
    counts: Counts
    ledger: Ledger
    flow: Flow
    version: str
    vllm_version: str
    # Whether the engine has just told: what its gauges say holds.
    fresh: bool = False

    @property
    def model_name(self) -> str:
        """The first of the served names, as in vLLM."""
        return self.model.names[0] if self.model.names else ""

    def gauges(self, name: str) -> dict[str, float]:
        """A gauge of SGLang's by engine; empty while it is not known."""
        return self.ledger.gauges(name) if self.fresh else {}
