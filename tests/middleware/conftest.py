"""One stand-in and two middlewares over it, open and guarded, for all tests that only ask and read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.middleware.serving import Served, middleware, stand_in

KEYS = ("sk-one", "sk-two")


@pytest.fixture(scope="session")
def engine() -> Iterator[Served]:
    with stand_in("--served-model-name", "smollm2-135m") as server:
        yield server


@pytest.fixture(scope="session")
def front(engine: Served) -> Iterator[Served]:
    with middleware(engine.port, served_model_names=("smollm2-135m", "alias")) as server:
        yield server


@pytest.fixture(scope="session")
def guarded(engine: Served) -> Iterator[Served]:
    with middleware(engine.port, api_keys=KEYS, expose_routes=("/flush_cache",)) as server:
        yield server
