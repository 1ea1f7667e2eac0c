"""What is said when the server is ready: a first answer, how to ask it, how to stop it, where to look inside.
`foreground.py` prints it once; every command in it works as it is pasted.
"""

from __future__ import annotations

import http.client
import json
import os
import shlex
import sys
from pathlib import Path

RUN_DIRECTORY = "/tmp/vllm-shim"  # noqa: S108  (the product's default)


CHAT = "/v1/chat/completions"
TYPE = "Content-Type: application/json"
QUESTION = "What is the capital of France?"
ANSWER_SECONDS = 60


def chat(name: str) -> str:
    messages = [{"role": "user", "content": QUESTION}]
    return json.dumps({"model": name, "messages": messages, "max_tokens": 40, "temperature": 0}, ensure_ascii=False)


def answer(name: str, port: int) -> str:
    """What the model says to the question; empty where it may not be asked, as without a key, or cannot chat."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
    try:
        connection.request("POST", CHAT, chat(name), dict([TYPE.split(": ")]))
        said = json.load(connection.getresponse())
        return " ".join(said["choices"][0]["message"]["content"].split())
    except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError, AttributeError):
        return ""
    finally:
        connection.close()


def banner(name: str, port: int, seconds: float, started: float) -> str:
    """Of several models there is no name: the first question would start one of them for nobody."""
    here = f"http://127.0.0.1:{port}"
    directory = run_directory(port, started)
    supervisorctl = Path(sys.executable).parent / "supervisorctl"
    said = answer(name, port) if name else ""
    curl = (
        ["curl", "-s", f"{here}{CHAT}", "-H", TYPE, "-d", chat(name)] if name else ["curl", "-s", f"{here}/v1/models"]
    )
    return "\n".join(
        (
            "",
            f"{name or 'every model of the files'} is ready at {here} after {seconds:.0f} s.",
            "",
            *((f"  asked        {QUESTION}", f"  it says      {said}", "") if said else ()),
            f"  {'ask it   ' if name else 'list them'}    {shlex.join(curl)}",
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
