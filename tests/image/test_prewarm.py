"""`vllm-to-sglang prewarm` as an init container runs it, and the server's own container on the same volume."""

from __future__ import annotations

from tests.image.podman import container, volume
from tests.server import wait_for

PREWARM = ("vllm-to-sglang", "prewarm")
# As the operator's pod has it.
SERVER = ("/opt/venv/bin/vllm", "serve", "meta-llama/Llama-3.1-8B-Instruct", "--host", "0.0.0.0", "--port", "8000")
ENV = {"VLLM_CACHE_ROOT": "/kernels", "PYTORCH_ROCM_ARCH": "gfx942"}


def test_the_kernels_are_on_the_volume_before_the_server_starts() -> None:
    with volume() as kernels:
        options = ["--volume", f"{kernels}:/kernels"]
        with container(*PREWARM[1:], "--", *SERVER, command=PREWARM[:1], env=ENV, options=options) as first:
            assert first.wait_end() == 0
            said = first.output
        assert "s: ready; one request" in said
        assert 'POST /generate HTTP/1.1" 200' in said
        assert "/triton: 0 files, 0.0 MB -> 1 files" in said
        assert "WARNING: none of them lies on a volume" not in said
        with container(*SERVER[2:], command=SERVER[:2], env=ENV, options=options) as server:
            server.wait_ready()
            [place] = {line.split()[-1] for line in server.output.splitlines() if "] wrote triton: " in line}
            assert f"{place}: 0 files" in said


def test_without_a_volume_it_warns() -> None:
    with container(*PREWARM[1:], "--", "m", command=PREWARM[:1]) as one:
        assert one.wait_end() == 0
        assert "WARNING: none of them lies on a volume" in one.output


def test_a_start_that_fails_is_a_failure_with_its_own_words() -> None:
    env = {**ENV, "STANDIN_EXIT": "3"}
    with container(*PREWARM[1:], "--", *SERVER, command=PREWARM[:1], env=env) as one:
        assert one.wait_end() == 1
        assert "it ended with exit code 3 before it was ready" in one.output
        assert "STANDIN_EXIT" in one.output


def test_a_time_limit_ends_it() -> None:
    words = (*PREWARM[1:], "--timeout", "3", "--", *SERVER)
    with container(*words, command=PREWARM[:1], env={**ENV, "STANDIN_LOAD_SECONDS": "60"}) as one:
        assert one.wait_end() == 1
        assert "it was not ready within 3 s (--timeout)" in one.output


def test_a_pod_that_is_deleted_meanwhile_ends_in_order() -> None:
    with container(*PREWARM[1:], "--", *SERVER, command=PREWARM[:1], env={**ENV, "STANDIN_LOAD_SECONDS": "60"}) as one:
        wait_for(lambda: "wrote triton: " in one.output, "the engine loads")
        assert one.stop(20) == 128 + 15
        assert "prewarm: stopped by a signal" in one.output


def test_what_would_be_refused_is_refused() -> None:
    words = (
        *PREWARM[1:],
        "--",
        "vllm",
        "serve",
        "m",
        "--kv-transfer-config",
        '{"kv_connector":"x","kv_role":"kv_producer"}',
    )
    with container(*words, command=PREWARM[:1]) as one:
        assert one.wait_end() == 2
        assert "--kv-transfer-config" in one.output
