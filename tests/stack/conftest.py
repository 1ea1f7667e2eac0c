"""A whole `vllm serve` over the stand-in engine, one a test."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.server import Server

Serve = Callable[..., Server]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """`serve("stand-in", "--flag", env={...})` starts one; whatever it leaves behind fails the test."""
    with contextlib.ExitStack() as stack:

        def start(*args: str, **options: object) -> Server:
            folder = tmp_path / f"server{len(list(tmp_path.iterdir()))}"
            folder.mkdir()
            server = Server(folder, *args, **options)  # type: ignore[arg-type]
            stack.callback(server.close)
            return server

        yield start


@pytest.fixture
def ready(serve: Serve) -> Server:
    server = serve("stand-in")
    server.wait_ready()
    return server
