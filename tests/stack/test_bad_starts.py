"""What a start that cannot succeed says: one clear sentence, exit code 2 or 1, nothing left running."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from shims import cli, facts, plan
from shims.checks import check
from shims.exceptions import StartError
from shims.facts import Facts
from tests.server import ROOT, STAND_IN, VLLM, Server, free_port
from tests.stack.conftest import Serve

pytestmark = pytest.mark.stack
SHADOW = str(ROOT / "shims/shadow")


def run(
    words: Sequence[str], folder: Path, env: Mapping[str, str] | None = None, command: Sequence[str] = (str(VLLM),)
) -> subprocess.CompletedProcess[str]:
    settings = {
        "PATH": os.environ["PATH"],
        "VLLM_SHIM_RUN_DIR": str(folder / "run"),
        "VLLM_SHIM_LOG": str(folder / "shim.log"),
        "VLLM_SHIM_PYTHON": sys.executable,
        "VLLM_SHIM_ENGINE": STAND_IN,
    }
    return subprocess.run(
        [*command, *words], check=False, capture_output=True, text=True, timeout=60, env={**settings, **(env or {})}
    )


def sentence(found: subprocess.CompletedProcess[str]) -> str:
    assert found.stderr.startswith("vllm: error: "), found.stderr
    assert found.stderr.count("\n") == 1, found.stderr
    return found.stderr


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["serve", "m", "--no-such-flag"], 2, "--no-such-flag"),
        (["serve", "m", "--port", "70000"], 2, "70000 is not a port"),
        (["serve", "m", "--port", "x"], 2, "argument --port"),
        (["serve", "/no/such/folder"], 1, "/no/such/folder does not exist"),
        (["serve", "m", "--chat-template", "/no/such.txt"], 1, "/no/such.txt does not exist"),
        (["bench", "serve"], 2, "'bench'"),
        (["bench", "--help"], 2, "'bench'"),
        (["serve", "m", "--host", "203.0.113.7"], 1, "cannot be bound"),
    ],
)
def test_bad_input(words: list[str], code: int, message: str, tmp_path: Path) -> None:
    found = run(words, tmp_path)
    assert (found.returncode, message in sentence(found)) == (code, True)


def test_a_taken_port(tmp_path: Path) -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        found = run(["serve", "m", "--port", str(port)], tmp_path)
    assert found.returncode == 1
    assert f"port {port} is taken" in sentence(found)


def test_without_haproxy() -> None:
    """Asked of the check itself: a machine that runs these tests has one."""
    chosen = plan.make(cli.parse(["m"]), {"VLLM_SHIM_ENGINE": sys.executable}, Facts(haproxy=""))
    with pytest.raises(StartError, match="haproxy is not installed"):
        check(chosen)


def test_a_haproxy_that_is_not_on_a_users_path_is_found(tmp_path: Path) -> None:
    """Debian puts it into /usr/sbin."""
    found = facts.gather(cli.parse(["m"]), {"PATH": str(tmp_path)}).haproxy
    assert found.endswith("sbin/haproxy")


@pytest.mark.parametrize(
    ("engine", "message"),
    [
        ("/no/such/engine --x", "'/no/such/engine' was not found"),
        (f"{sys.executable} -m sglang.launch_server", "SGLang"),
    ],
)
def test_without_sglang(engine: str, message: str, tmp_path: Path) -> None:
    found = run(["serve", "m"], tmp_path, {"VLLM_SHIM_ENGINE": engine})
    assert found.returncode == 1
    assert message in sentence(found)


def test_a_run_directory_that_another_server_uses(serve: Serve, tmp_path: Path) -> None:
    server: Server = serve("stand-in")
    server.wait_ready()
    found = run(["serve", "m", "--port", str(free_port())], tmp_path, {"VLLM_SHIM_RUN_DIR": str(server.run_dir)})
    assert found.returncode == 1
    assert "another server runs from" in sentence(found)
    assert server.health() == 200


@pytest.mark.parametrize(
    ("name", "message"), [("a%b", "without %"), ("x" * 120, "too long for a socket"), ("open", "is open to others")]
)
def test_a_run_directory_that_cannot_be_used(name: str, message: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    if name == "open":
        folder.mkdir()
        folder.chmod(0o755)
    found = run(["serve", "m", "--port", str(free_port())], tmp_path, {"VLLM_SHIM_RUN_DIR": str(folder)})
    assert found.returncode == 1
    assert message in sentence(found)


def test_a_log_folder_that_others_use_stays_as_it_is(serve: Serve, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    server = serve("stand-in", env={"VLLM_SHIM_LOG_DIR": str(shared)})
    server.wait_ready()
    assert shared.stat().st_mode & 0o7777 == 0o1777
    assert {path.stat().st_mode & 0o777 for path in shared.glob("*.log")} == {0o600}


def test_a_log_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("")
    (tmp_path / "shim.log").symlink_to(tmp_path / "target")
    found = run(["serve", "m", "--nope"], tmp_path)
    assert "cannot be written" in found.stderr
    assert (tmp_path / "target").read_text() == ""


@pytest.mark.parametrize("reader", [False, True])
def test_a_log_that_is_a_fifo_does_not_hold_the_start(reader: bool, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "shim.log")
    end = os.open(tmp_path / "shim.log", os.O_RDONLY | os.O_NONBLOCK) if reader else None
    found = run(["serve", "m", "--nope"], tmp_path)
    if end is not None:
        os.close(end)
    assert found.returncode == 2
    assert "is no regular file" in found.stderr


def test_the_log_holds_the_arguments_without_secrets_and_is_private(tmp_path: Path) -> None:
    run(["serve", "m", "--api-key", "s3cret", "--api_k=s3cret", "--max-model-len", "4096", "--nope"], tmp_path)
    log = tmp_path / "shim.log"
    assert log.stat().st_mode & 0o777 == 0o600
    text = log.read_text()
    assert "--max-model-len 4096" in text
    assert "s3cret" not in text


MODULES = ["vllm", "vllm.entrypoints.cli.main", "vllm.entrypoints.openai.api_server"]


@pytest.mark.parametrize("module", MODULES)
def test_python_m_does_what_the_binary_does(module: str, tmp_path: Path) -> None:
    words = ["--port", "70000"] if module.endswith("api_server") else ["serve", "m", "--port", "70000"]
    python = ("python3", "-m", module)
    found = run(words, tmp_path, {"PYTHONPATH": SHADOW}, command=python)
    assert (found.returncode, "70000 is not a port" in sentence(found)) == (2, True)


def test_the_shadow_package_is_a_version_and_nothing_else(tmp_path: Path) -> None:
    code = (
        "import vllm, sys; print(vllm.__version__)\n"
        "try:\n    from vllm import _custom_ops\nexcept ImportError:\n    print('absent')\n"
        "try:\n    from vllm.logger import logger\nexcept ImportError:\n    print('absent')\n"
    )
    found = run(["-c", code], tmp_path, {"PYTHONPATH": SHADOW}, command=("python3",))
    assert found.stdout.split() == ["0.33.0", "absent", "absent"]
    assert run(["--version"], tmp_path).stdout == "0.33.0\n"


def test_help_lists_flags_and_starts_nothing(tmp_path: Path) -> None:
    found = run(["serve", "--help"], tmp_path)
    assert found.returncode == 0
    assert "--tensor-parallel-size" in found.stdout
    assert not (tmp_path / "run").exists()
