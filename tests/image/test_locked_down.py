"""What a cluster's rules for containers allow: another uid, a read-only root, no capabilities, no new privileges, and
64 MiB of shared memory. The stand-in writes wherever a GPU's engine does, and ends the container where it cannot.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.image.conftest import MODEL
from tests.image.podman import PACKAGES, STAND_IN, Container, container, volume
from tests.image.writing import KERNEL

LOCKED = ("--read-only", "--read-only-tmpfs=false", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
SMALL = ("--shm-size", "64m", "--tmpfs", "/tmp:rw,size=256m,mode=1777")
UID = 10001
WRITERS = 22


def places(one: Container) -> dict[str, str]:
    """Who wrote where, as the stand-in says."""
    lines = (line.partition("wrote ")[2].partition(": ") for line in one.output.splitlines() if "] wrote " in line)
    return {who: where for who, _, where in lines}


@pytest.fixture
def with_aiter(tmp_path: Path) -> list[str]:
    """AITER in the base's Python, with one kernel that came with it."""
    (tmp_path / "aiter/jit").mkdir(parents=True)
    (tmp_path / "aiter/__init__.py").touch()
    (tmp_path / "aiter/jit/module_a.so").write_bytes(b"came with it")
    tmp_path.chmod(0o755)
    return [*STAND_IN, f"{tmp_path}/aiter:{PACKAGES}/aiter:ro"]


@pytest.mark.parametrize(
    "user", [(), ("--user", f"{UID}:{UID}"), ("--user", f"{UID}:0")], ids=["root", "uid", "group-0"]
)
def test_everything_is_written_to_the_run_directory(user: tuple[str, ...], with_aiter: list[str]) -> None:
    env = {"PYTORCH_ROCM_ARCH": "gfx942"}
    with container(MODEL, options=[*LOCKED, *SMALL, *user], env=env, volumes=with_aiter) as one:
        one.wait_ready()
        assert one.chat(MODEL)
        found = places(one)
        assert len(found) == WRITERS + 1  # and shared memory
        assert {
            where for who, where in found.items() if who != "shared memory" and not where.startswith("/tmp")
        } == set()
        assert "gfx942" in found["triton"]
        assert one.run("cat", f"{found['aiter']}/module_a.so").stdout == "came with it"
        assert one.stop() == 0


def test_caches_are_on_the_models_volume_where_that_can_be_written() -> None:
    with volume() as models:
        options = [*LOCKED, *SMALL, "--user", f"{UID}:{UID}", "--volume", f"{models}:/data:U"]
        for _ in range(2):
            with container(MODEL, options=options, env={"HF_HOME": "/data"}) as one:
                one.wait_ready()
                found = places(one)
                assert found["triton"].startswith(f"/data/.vllm-to-sglang-{UID}/sglang-")
                assert found["huggingface"] == "/data"
                assert one.run("cat", f"{found['triton']}/of-triton").stdout == KERNEL.decode()


def test_one_mounted_folder_takes_the_kernels_of_every_compiler(with_aiter: list[str]) -> None:
    """Of root as well, whose own places could all be written, and would be gone with the container."""
    env = {"PYTORCH_ROCM_ARCH": "gfx942", "VLLM_CACHE_ROOT": "/kernels"}
    with (
        volume() as kernels,
        container(MODEL, env=env, volumes=with_aiter, options=["--volume", f"{kernels}:/kernels"]) as one,
    ):
        one.wait_ready()
        found = places(one)
        compiled = (
            "triton",
            "inductor",
            "torch extensions",
            "tvm-ffi",
            "flashinfer",
            "tilelang",
            "cuda driver",
            "aiter",
        )
        away = {who: found[who] for who in compiled if not found[who].startswith("/kernels/.vllm-to-sglang-0/sglang-")}
        assert away == {}
        assert found["huggingface"] == "/root/.cache/huggingface"


def test_the_run_directory_can_lie_on_a_volume_of_ones_own() -> None:
    with volume() as run:
        env = {"VLLM_SHIM_RUN_DIR": "/run/v/shim", "VLLM_SHIM_LOG": "/run/v/shim.log", "TMPDIR": "/run/v"}
        options = ["--read-only", "--read-only-tmpfs=false", "--user", str(UID), "--volume", f"{run}:/run/v:U"]
        with container(MODEL, options=options, env=env) as one:
            one.wait_ready()
            assert one.chat(MODEL)
            assert one.run("vllm-to-sglang", "status").stdout


def test_where_nothing_can_be_written_it_says_what_to_mount() -> None:
    with container(MODEL, options=["--read-only", "--read-only-tmpfs=false", "--user", str(UID)]) as one:
        assert one.wait_end() == 1
        assert "VLLM_SHIM_RUN_DIR" in one.output
