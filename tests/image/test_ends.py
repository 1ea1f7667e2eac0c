"""How a container ends: by `podman stop` under load, by the kernel for memory, and what the next one says of it."""

from __future__ import annotations

import concurrent.futures
import time

from tests.image.conftest import MODEL
from tests.image.podman import Container, container, volume

IN_A_POD = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}
SLOW = {"x-standin-delay-ms": "100"}
LOG = "/tmp/vllm-shim/log"
# The containers of one pod have its name, and only those tell of each other.
POD = ("--hostname", "pod-1")


def stream(one: Container, tokens: int) -> str:
    body = {"model": MODEL, "prompt": "a", "max_tokens": tokens, "stream": True}
    return one.ask("POST", "/v1/completions", json=body, headers=SLOW).text


def test_podman_stop_under_load_lets_every_request_finish() -> None:
    with container(MODEL) as one, concurrent.futures.ThreadPoolExecutor(20) as pool:
        one.wait_ready()
        running = [pool.submit(stream, one, 50) for _ in range(20)]  # five seconds each
        time.sleep(1.5)
        began = time.monotonic()
        assert one.stop() == 0
        assert 2 < time.monotonic() - began < 29
        assert all(one.result().rstrip().endswith("data: [DONE]") for one in running)
        assert "stopped: sglang (exit status 0)" in one.output


def test_what_outlasts_the_drain_ends_with_an_error_and_the_container_still_in_order() -> None:
    with container(MODEL, env={"VLLM_SHIM_DRAIN_SECONDS": "2"}) as one, concurrent.futures.ThreadPoolExecutor() as pool:
        one.wait_ready()
        running = pool.submit(stream, one, 600)
        time.sleep(1)
        assert one.stop() == 0
        assert '"error"' in running.result()


def test_out_of_memory_is_told_at_the_end_and_by_the_next_container() -> None:
    with volume() as log:
        options = ["--memory", "400m", "--memory-swap", "400m", *POD, "--volume", f"{log}:{LOG}"]
        with container(MODEL, env={**IN_A_POD, "STANDIN_EATS_MB": "2000"}, options=options) as one:
            code = one.wait_end()
            said = one.output
        assert code == 137
        assert "killed by the kernel for memory: the container's limit is 0.391 GiB" in said
        with container(MODEL, env=IN_A_POD, options=options) as following:
            following.wait_ready()
            [line] = [line for line in following.output.splitlines() if "the container before this one ended" in line]
            assert "ended with code 137" in line
            assert "killed by the kernel for memory" in line


def test_a_container_that_was_killed_as_a_whole_is_told_of_by_the_next() -> None:
    with volume() as log:
        options = [*POD, "--volume", f"{log}:{LOG}"]
        with container(MODEL, options=options) as one:
            one.wait_ready()
            time.sleep(2)
            assert one.stop(0) == 137
        with container(MODEL, options=options) as following:
            following.wait_ready()
            assert "the container before this one ended without a word" in following.output
