"""Plays rounds as a program of its own, which may go into a mount namespace; used by the tests that are such rounds."""

from __future__ import annotations

import signal
import subprocess
import sys

from tests.server import PATIENCE, ROOT


def played(*words: str, seconds: float) -> str:
    """What it says; a failed round, or none in time, is a failed test."""
    command = [sys.executable, "-m", "tests.chaos", *words]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as program:
        try:
            said, _ = program.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            # Gently: it has a server to take along.
            program.send_signal(signal.SIGTERM)
            said, _ = program.communicate(timeout=PATIENCE)
            raise AssertionError(f"not within {seconds:.0f} s\n{said}") from None
        finally:
            program.kill()
    assert program.returncode == 0, said
    return said
