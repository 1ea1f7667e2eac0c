"""`vllm-to-sglang prewarm`: a start, a request and a stop around a stand-in, and what it refuses; and what the kernel
caches hold.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from operate import kernel_caches
from operate.__main__ import main
from tests.server import ROOT, STAND_IN, free_port

pytestmark = pytest.mark.stack
TWO_NODES = ("--nnodes", "2", "--master-addr", "10.0.0.1", "--tensor-parallel-size", "2")


def prewarm(folder: Path, *words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("VLLM_", "SGLANG_", "KUBERNETES_"))}
    (folder / "kernels").mkdir(exist_ok=True)
    settings = {
        "VLLM_SHIM_RUN_DIR": f"{folder}/run",
        "VLLM_SHIM_LOG": f"{folder}/shim.log",
        "VLLM_SHIM_ENGINE": STAND_IN,
        "VLLM_CACHE_ROOT": f"{folder}/kernels",
        "PYTHONUNBUFFERED": "1",  # as images set it: a line is then whole only if it is one write
    }
    return subprocess.run(
        [sys.executable, "-m", "operate", "prewarm", *words],
        check=False,
        cwd=ROOT,
        env={**clean, **settings, **(env or {})},
        capture_output=True,
        text=True,
    )


def server(*more: str) -> list[str]:
    return [
        "--",
        "NAME=value",
        "/opt/venv/bin/vllm",
        "serve",
        "m",
        "--host",
        "127.0.0.1",
        "--port",
        str(free_port()),
        *more,
    ]


def test_it_starts_asks_and_stops_in_order(tmp_path: Path) -> None:
    done = prewarm(tmp_path, *server("--api-key", "s3cret"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert [
        line.partition(" s: ")[2] for line in done.stdout.splitlines() if re.match(r"prewarm: +[\d.]+ s:", line)
    ] == [
        "ready; one request",
        "answered; stopping",
        "done",
    ]
    assert 'POST /generate HTTP/1.1" 200' in done.stdout
    assert "stopped: sglang (exit status 0)" in done.stdout


def test_a_start_that_fails_fails(tmp_path: Path) -> None:
    failed = prewarm(tmp_path, *server(), env={"STANDIN_EXIT": "3"})
    assert failed.returncode == 1
    assert "prewarm: it ended with exit code 3 before it was ready" in failed.stderr


def test_it_waits_no_longer_than_it_was_told_to(tmp_path: Path) -> None:
    late = prewarm(tmp_path, "--timeout", "1", *server(), env={"STANDIN_LOAD_SECONDS": "60"})
    assert late.returncode == 1
    assert "prewarm: it was not ready within 1 s (--timeout)" in late.stderr


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([], "give the server's command line after --"),
        (["--", "sh", "-c", "vllm serve m"], "no shell here"),
        (["--", "vllm", "serve", "m", "--no-such-flag"], "--no-such-flag: neither vLLM nor SGLang has this flag"),
        (["--", "m", *TWO_NODES, "--node-rank", "0"], "one rank of several nodes"),
        (["--", "m", *TWO_NODES, "--node-rank", "1"], "one rank of several nodes"),
        (["--", "vllm", "serve", "--shim-models", "m.yaml"], "one model at a time: give each model's own command line"),
        (["--", "VLLM_SHIM_MODELS=m.yaml", "vllm", "serve"], "one model at a time: give each model's own command line"),
    ],
)
def test_what_cannot_be_started_is_wrong_use(words: list[str], why: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = main(["prewarm", *words])
    except SystemExit as end:
        code = int(end.code or 0)
    assert (code, why in capsys.readouterr().err) == (2, True)


def test_caches_are_counted_once_and_without_links(tmp_path: Path) -> None:
    root = tmp_path / "cache/sglang"
    (root / "triton").mkdir(parents=True)
    (root / "triton/kernel").write_bytes(b"x" * 1000)
    (root / "came-with-it").symlink_to(root / "triton/kernel")
    folders = kernel_caches.folders(
        {"HOME": str(tmp_path), "SGLANG_CACHE_DIR": str(root), "AITER_JIT_DIR": f"{root}/a"}
    )
    assert str(root) in folders
    assert [folder for folder in folders if folder.startswith(f"{root}/")] == []
    assert kernel_caches.contents(str(root)) == kernel_caches.Contents(1, 1000)
