"""A page of /metrics, read by Prometheus' own client; and pages over texts of SGLang's that a test makes up."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from middleware.engine import Engine, State
from middleware.flow import Flow
from middleware.metrics.scrape import REUSE_SECONDS
from middleware.metrics.served import Metrics
from middleware.model import Model
from middleware.policy import Policy
from middleware.settings import Settings
from tests.server import ROOT

RECORDED = (ROOT / "tests/fakes/recordings/metrics_whole.txt").read_bytes()
OF_VLLM = (ROOT / "tests/fixtures/vllm_metrics.txt").read_text()
NAME = "smollm2-135m"


@dataclass
class Series:
    kind: str
    samples: list[Sample] = field(default_factory=list)

    def shapes(self) -> dict[str, set[tuple[str, ...]]]:
        """The labels' names by the sample's."""
        found: dict[str, set[tuple[str, ...]]] = defaultdict(set)
        for one in self.samples:
            found[one.name].add(tuple(sorted(one.labels)))
        return dict(found)

    def bounds(self) -> list[list[str]]:
        """Of each set of labels, in the order of the text."""
        found: dict[tuple[tuple[str, str], ...], list[str]] = defaultdict(list)
        for one in self.samples:
            if self.kind == "histogram" and one.name.endswith("_bucket"):
                rest = tuple(sorted(pair for pair in one.labels.items() if pair[0] != "le"))
                found[rest].append(one.labels["le"])
        return list(found.values())


class Page:
    """page = Page(text)    # or ValueError
    page.value("vllm:request_success_total", finished_reason="stop")
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.series: dict[str, Series] = {}
        self.samples: list[Sample] = []
        for family in text_string_to_metric_families(text):
            assert family.name not in self.series, f"{family.name} stands there twice"
            self.series[family.name] = Series(family.type, list(family.samples))
            self.samples += family.samples

    def all(self, name: str, **labels: str) -> list[Sample]:
        wanted = labels.items()
        return [one for one in self.samples if one.name == name and wanted <= one.labels.items()]

    def value(self, name: str, **labels: str) -> float | None:
        """None where there is no such sample; of several it is asked by more labels."""
        found = self.all(name, **labels)
        assert len(found) < 2, f"{found} are several"
        return found[0].value if found else None

    def by(self, label: str, name: str, **labels: str) -> dict[str, float]:
        """What is more than nothing, by the label's value."""
        return {one.labels[label]: one.value for one in self.all(name, **labels) if one.value}


class Pages:
    """The page of a middleware whose engine has just told a text; nothing was counted before it.

    pages = Pages()
    page = pages.after('sglang:token_usage 0.5')
    """

    def __init__(self, policy: Policy | None = None, name: str = NAME, length: int | None = 2048) -> None:
        policy = policy or Policy()
        self.engine = Engine()
        self.model = Model(Settings("127.0.0.1", 1, served_model_names=(name,), policy=policy))
        self.model.context_length = length
        self.answer: tuple[int, bytes] = (200, b"")
        self.asked = 0
        self.flow = Flow()
        self.flow.active = 10_000  # More than wait: what SGLang says of that holds.
        self.now = 0.0
        self.metrics = Metrics(self.engine, self.model, policy, self.flow, self._fetch, lambda: self.now)
        self.begin("")

    async def _fetch(self) -> tuple[int, bytes]:
        self.asked += 1
        return self.answer

    def begin(self, text: str | bytes) -> None:
        """A new engine is there and has told this."""
        self.says(text)
        self.become_ready()

    def become_ready(self) -> None:
        if self.engine.alive:
            self.engine.become(State.GONE, "it died")
        asyncio.run(self.metrics.begin())
        self.engine.become(State.READY, "it is")

    def says(self, text: str | bytes) -> None:
        self.answer = (200, text.encode() if isinstance(text, str) else text)

    def after(self, text: str | bytes) -> Page:
        self.says(text)
        return self.page()

    def page(self) -> Page:
        return Page(self.raw())

    def at_once(self, times: int) -> list[Page]:
        self.now += REUSE_SECONDS

        async def ask() -> list[bytes]:
            return await asyncio.gather(*(self.metrics.page() for _ in range(times)))

        return [Page(text.decode()) for text in asyncio.run(ask())]

    def raw(self) -> str:
        self.now += REUSE_SECONDS  # Or it is what was told before.
        return asyncio.run(self.metrics.page()).decode()


def texts(kind: str, samples: Mapping[str, float | str], **common: str) -> str:
    """Samples as SGLang writes them: {'sglang:x{tp_rank="0"}': 1.0}, families and all."""
    lines: list[str] = []
    last = ""
    extra = "".join(f',{name}="{value}"' for name, value in common.items())
    for head, value in samples.items():
        name, brace, labels = head.partition("{")
        family = name
        for suffix in ("_bucket", "_sum", "_count"):
            family = family.removesuffix(suffix) if kind == "histogram" else family
        if family != last:
            lines += [f"# HELP {family} Of {family}.", f"# TYPE {family} {kind}"]
            last = family
        inside = (labels.removesuffix("}") if brace else "") + extra
        lines.append(f"{name}{{{inside.lstrip(',')}}} {value}" if inside else f"{name} {value}")
    return "\n".join([*lines, ""])
