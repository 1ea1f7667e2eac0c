"""`make test-image`: containers of the image that was built on a bare Debian, where a stand-in is SGLang. Not part of
`make test`: it takes podman and root.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import testinfra

from tests.image.podman import Container, container, environment

HERE = Path(__file__).parent
MODEL = "facebook/opt-125m"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ours = [item for item in items if item.path.is_relative_to(HERE)]
    for item in ours:
        item.add_marker(pytest.mark.image)
    if len(ours) == len(items):
        # Of two processes that share them one begins with the longest.
        items.sort(key=lambda item: item.path.name != "test_engine.py")


@pytest.fixture(scope="session", autouse=True)
def podmans_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """For testinfra too, which calls podman itself. conmon 2.1 of a `podman exec` leaves a file `oom` in its own
    folder when the container runs out of memory: not in the checkout.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONTAINERS_CONF", environment().get("CONTAINERS_CONF", ""))
        patch.chdir(tmp_path_factory.mktemp("podman"))
        yield


@pytest.fixture(scope="session")
def serving() -> Iterator[Container]:
    """One that serves, as `docker run IMAGE MODEL` starts it; nobody changes it."""
    with container(MODEL, "--max-model-len", "1024") as one:
        one.wait_ready()
        yield one


@pytest.fixture(scope="session")
def host(serving: Container) -> Any:
    return testinfra.get_host(f"podman://{serving.id}")
