"""A worker rank of several nodes: the real supervisord with SGLang alone, no middleware, no haproxy, no health."""

from __future__ import annotations

import os
import signal
import socket

import httpx
import pytest

from tests.server import Server, wait_for
from tests.stack.conftest import Serve

pytestmark = pytest.mark.stack
RANK_1 = ("stand-in", "--nnodes", "2", "--node-rank", "1", "--master-addr", "127.0.0.1", "--tensor-parallel-size", "2")


@pytest.fixture
def worker(serve: Serve) -> Server:
    server = serve(*RANK_1, env={"KUBERNETES_SERVICE_HOST": "10.0.0.1"})
    wait_for(lambda: server.process.poll() is not None or answers(server), f"the engine; {server.output}")
    assert server.process.poll() is None, server.output
    return server


def answers(server: Server) -> bool:
    """SGLang, on its own loopback port."""
    try:
        with socket.create_connection(("127.0.0.1", server.port + 1), 5):
            return True
    except OSError:
        return False


def test_sglang_runs_alone_and_nothing_listens_for_clients(worker: Server) -> None:
    assert [line.split()[0] for line in worker.supervisorctl("status").splitlines()] == ["sglang"]
    with pytest.raises(httpx.ConnectError):
        worker.client.get("/health")
    assert not {path.name for path in worker.run_dir.iterdir()} & {"haproxy.cfg", "haproxy.sock", "policy.json", "tls"}
    assert not list((worker.run_dir / "ready").iterdir())
    assert "a worker rank of stand-in: SGLang alone" in worker.output


def test_sigterm_ends_it_with_0(worker: Server) -> None:
    assert worker.stop() == 0


def test_a_killed_engine_ends_the_container_with_its_code(worker: Server) -> None:
    """In place it would wait for ever: the other ranks are gone."""
    os.kill(worker.pid("sglang"), signal.SIGKILL)
    assert worker.wait_end() == 128 + signal.SIGKILL
    assert "one of several ranks" in "".join(worker.lines[-5:])


def test_in_place_restarts_are_for_front_doors(serve: Serve) -> None:
    server = serve(*RANK_1, env={"VLLM_SHIM_ENGINE_RESTART": "in-place"})
    wait_for(lambda: answers(server), "the engine")
    os.kill(server.pid("sglang"), signal.SIGKILL)
    assert server.wait_end() == 128 + signal.SIGKILL


def test_an_engine_that_ends_by_itself_never_ends_the_container_with_0(worker: Server) -> None:
    os.kill(worker.pid("sglang"), signal.SIGTERM)  # as when rank 0 has ended
    assert worker.wait_end() == 1
