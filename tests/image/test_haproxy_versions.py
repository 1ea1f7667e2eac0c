"""The rendered haproxy.cfg started for real by the haproxy of two Debians: 2.6 of 12, which the other tests run on, and
3.0 of 13, whose Python is 3.13. That it holds no directive which 2.4 lacks is `test_house`'s to say.
"""

from __future__ import annotations

import concurrent.futures
import os
import time

import pytest

from tests.image.conftest import MODEL
from tests.image.podman import Container, container
from tests.image.test_ends import stream

DEBIAN_13 = os.environ.get("TEST_IMAGE_13", "localhost/vllm-to-sglang-test:debian13")


def version(one: Container) -> str:
    return one.run("haproxy", "-v").stdout.split()[2]


def test_debian_12s_is_2_6(serving: Container) -> None:
    assert version(serving).startswith("2.6.")


def test_on_debian_13_it_serves_drains_and_warns_of_no_directive() -> None:
    with container(MODEL, image=DEBIAN_13) as one, concurrent.futures.ThreadPoolExecutor() as pool:
        one.wait_ready()
        assert version(one).startswith("3.0.")
        assert one.run("/opt/vllm-to-sglang/.venv/bin/python", "--version").stdout.startswith("Python 3.13")
        assert one.chat(MODEL)
        assert one.ask("GET", "/ready").status_code == 200
        assert one.ask("GET", "/metrics").text.count("vllm:num_requests_running") > 1
        check = one.run("haproxy", "-c", "-f", "/tmp/vllm-shim/haproxy.cfg")
        assert (check.stdout + check.stderr).strip() in ("", "Configuration file is valid")
        running = pool.submit(stream, one, 30)
        time.sleep(1)
        assert one.stop() == 0
        assert running.result().rstrip().endswith("data: [DONE]")


@pytest.mark.parametrize("python", ["python3", "/opt/vllm-to-sglang/.venv/bin/python"])
def test_on_debian_13_vllm_can_be_imported_too(python: str) -> None:
    with container("-c", "import vllm; print(vllm.__version__)", command=[python], image=DEBIAN_13) as one:
        assert one.wait_end() == 0
        assert one.output[:2] == "0."
