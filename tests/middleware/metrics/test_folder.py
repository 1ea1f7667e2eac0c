"""The folder that the chart's PROMETHEUS_MULTIPROC_DIR names: the middleware's own process leaves it alone."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.middleware.metrics.counting import page
from tests.middleware.serving import ROOT, free_port, process, served, stand_in, status_of, wait_for


@pytest.mark.parametrize("name", ["PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"])
def test_the_folder_stays_empty_and_the_page_whole(name: str, tmp_path: Path) -> None:
    port = free_port()
    with stand_in() as engine:
        command = (sys.executable, "-I", "-m", "middleware", "--port", str(port), "--upstream", engine.url)
        with process(*command, env={name: str(tmp_path)}, cwd=ROOT), served(port) as front:
            wait_for(lambda: status_of(f"{front.url}/health") == 200, "the middleware is ready")
            front.post(
                "/v1/chat/completions", json={"messages": [{"role": "user", "content": "hi"}]}
            ).raise_for_status()
            found = page(front)
    assert list(tmp_path.iterdir()) == []
    assert found.value("process_open_fds")
    assert found.value("python_info", implementation="CPython") == 1
    assert found.value("vllm:num_requests_running") == 0
    assert sum(one.value for one in found.all("vllm:request_success_total")) == 1
