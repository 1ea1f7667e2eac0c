"""The middleware before a model whose files it has, shared by the tests of a module: what was asked is forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.middleware.preparation.engine import Asked, asking, model_folder


@pytest.fixture(scope="module")
def _shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    with asking(model_folder(tmp_path_factory.mktemp("model"))) as asked:
        yield asked


@pytest.fixture
def asked(_shared: Asked) -> Asked:
    _shared.engine.asked.clear()
    return _shared


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return model_folder(tmp_path)
