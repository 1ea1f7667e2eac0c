"""The middleware over an SGLang of the tests that tells metrics too, and its page read after requests."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from middleware.policy import Policy
from tests.middleware.endpoints.sglang import NAME, Sglang
from tests.middleware.metrics.pages import Page
from tests.middleware.serving import Served, middleware, wait_for
from tests.middleware.upstreams import hostile


@contextlib.contextmanager
def counting(engine: Sglang, *, policy: Policy | None = None, **settings: Any) -> Iterator[Served]:
    """What SGLang tells is empty unless the test says otherwise: then nothing of it is on the page."""
    engine.answers.setdefault("/metrics", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    settings.setdefault("served_model_names", (NAME,))
    with (
        hostile(engine.answering, engine.listing, tells=True, counts=True) as port,
        middleware(port, policy=policy or Policy(), **settings) as front,
    ):
        yield front


def page(front: Served) -> Page:
    return Page(front.get("/metrics").raise_for_status().text)


def idle_page(front: Served) -> Page:
    """When nothing is with SGLang any more: what a request counts is there a moment after its answer."""
    wait_for(lambda: page(front).value("vllm_shim:requests_in_flight") == 0, "nothing in flight")
    return page(front)


def finished(front: Served) -> dict[str, float]:
    return idle_page(front).by("finished_reason", "vllm:request_success_total")


def refused(front: Served) -> dict[tuple[str, str], float]:
    samples = idle_page(front).all("vllm_shim:requests_refused_total")
    return {(one.labels["reason"], one.labels["status"]): one.value for one in samples}
