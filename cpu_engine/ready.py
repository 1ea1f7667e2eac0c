"""What is said when the server is ready: how to ask it, how to stop it, where to look inside.
`foreground.py` prints it once; every command in it works as it is pasted.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path

RUN_DIRECTORY = "/tmp/vllm-shim"  # noqa: S108  (the product's default)


def banner(name: str, port: int, seconds: float, started: float) -> str:
    request = {
        "model": name,
        "messages": [{"role": "user", "content": "What is the capital of France?"}],
        "max_tokens": 40,
        "temperature": 0,
    }
    curl = [
        *("curl", "-s", f"http://127.0.0.1:{port}/v1/chat/completions"),
        *("-H", "Content-Type: application/json", "-d", json.dumps(request, ensure_ascii=False)),
    ]
    directory = run_directory(port, started)
    supervisorctl = Path(sys.executable).parent / "supervisorctl"
    return "\n".join(
        (
            "",
            f"{name} is ready at http://127.0.0.1:{port} after {seconds:.0f} s.",
            "",
            f"  ask it       {shlex.join(curl)}",
            f"  look inside  (cd {shlex.quote(str(directory))} && {shlex.quote(str(supervisorctl))} status)",
            "  stop it      Ctrl-C",
            "",
        )
    )


def run_directory(port: int, started: float) -> Path:
    """Where the server that was started then runs: beside the default, when another server has taken that."""
    given = os.environ.get("VLLM_SHIM_RUN_DIR")
    if given:
        return Path(given).absolute()
    own = Path(f"{RUN_DIRECTORY}-{port}")
    try:
        return own if (own / "supervisord.conf").stat().st_mtime >= started else Path(RUN_DIRECTORY)
    except OSError:
        return Path(RUN_DIRECTORY)
