"""What the processes of an engine are doing, for who asks afterwards: by the kernel, by py-spy, and by Python's own
faulthandler where that may not look. `evidence` asks it about an engine that is about to be killed.
"""

import contextlib
import os
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from supervision import orphans

PROC = Path("/proc")
PY_SPY_SECONDS = 10.0
LONGEST_BYTES = 64 << 10
FAULTHANDLER_SECONDS = 2.0
ROWS = ("State", "Threads", "VmRSS", "VmSwap")


def group(leader: int) -> list[int]:
    """The processes of supervisord's program: it has made each the leader of a group of its own."""
    return sorted(pid for pid, _, its_group in orphans.running() if its_group == leader)


def title(pid: int) -> str:
    """The first word of its command line, which SGLang's own processes write anew: "sglang::scheduler_TP0"."""
    return _text(pid, "cmdline").partition("\0")[0].strip()


def kernel_view(pid: int) -> str:
    """A few lines: name, state, memory, and where in the kernel it waits, as far as we may know."""
    rows = [line for line in _text(pid, "status").splitlines() if line.partition(":")[0] in ROWS]
    waits = [f"{name}: {text}" for name in ("wchan", "stack") if (text := _text(pid, name).strip()) not in ("", "0")]
    return "\n".join(
        [f"process {pid} ({_text(pid, 'comm').strip()})", *(" ".join(row.split()) for row in rows), *waits]
    )


def python_view(pid: int, py_spy: str | None, seconds: float = PY_SPY_SECONDS) -> tuple[bool, str]:
    """Whether they are stacks. Without the values of variables, which may be prompts, and without the command line."""
    if py_spy is None:
        return False, "py-spy is not there"
    said = ""
    end = time.monotonic() + min(seconds, PY_SPY_SECONDS)
    for how in ((), ("--nonblocking",)):  # 0.4.3: who is stopped can only be seen without stopping it
        if (left := end - time.monotonic()) <= 0:
            return False, said.partition("Stack backtrace:")[0].strip() or "no time was left for py-spy"
        said = output_of([py_spy, "dump", *how, "--pid", str(pid)], left)
        if "Thread " in said:
            return True, "\n".join(line for line in said.splitlines() if not line.startswith("Process "))
    return False, said.partition("Stack backtrace:")[0].strip()


def output_of(command: Sequence[str], seconds: float) -> str:
    """What it says, whatever comes of it: supervisord reaps every child, and its exit status is not ours to learn."""
    with contextlib.ExitStack() as stack:
        try:
            said = stack.enter_context(tempfile.TemporaryFile())
            subprocess.run(command, check=False, stdin=subprocess.DEVNULL, stdout=said, stderr=said, timeout=seconds)
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"{command[0]}: {error}"
        said.seek(0)
        return said.read(LONGEST_BYTES).decode("utf-8", "replace").strip()


def find_py_spy(leader: int) -> str | None:
    """Beside the Python that runs as the leader, or on PATH: it is one of SGLang's requirements (0.5.23)."""
    python = title(leader)
    beside = str(Path(python).parent / "py-spy")
    return beside if python.startswith("/") and os.access(beside, os.X_OK) else shutil.which("py-spy")


def has_faulthandler(pid: int) -> bool:
    """Whether it has a handler for SIGABRT; who has none would die of it without a word."""
    caught = re.search(r"^SigCgt:\s*([0-9a-f]+)$", _text(pid, "status"), re.MULTILINE)
    return caught is not None and bool(int(caught[1], 16) >> (signal.SIGABRT - 1) & 1)


def ask_faulthandler(pids: Sequence[int]) -> None:
    """SIGABRT: a process of SGLang's that has enabled it (0.5.23: its schedulers) writes its stacks into its log.

    For where nobody may trace (no CAP_SYS_PTRACE and yama's scope 1). It leaves no core, which would fill the disk.
    """
    for pid in pids:
        with contextlib.suppress(OSError, ValueError):
            hard = resource.prlimit(pid, resource.RLIMIT_CORE)[1]
            resource.prlimit(pid, resource.RLIMIT_CORE, (0, hard))
            (PROC / str(pid) / "coredump_filter").write_text("0")  # a handler behind a pipe does not ask the limit
            os.kill(pid, signal.SIGABRT)
    time.sleep(FAULTHANDLER_SECONDS)


def _text(pid: int, name: str) -> str:
    try:
        return (PROC / str(pid) / name).read_text("utf-8", "replace")
    except OSError:
        return ""
