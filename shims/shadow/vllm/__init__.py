"""Stands where vLLM's package would: `python -m vllm...` execs the replacement binary, everything else is absent.

Standard library only, any Python from 3.8; nothing happens at import.
"""

__version__ = "0.33.0"


def _exec(*words):  # type: ignore[no-untyped-def]
    """Become the `vllm` binary, two folders up, with these words and this process's arguments."""
    import os
    import sys

    home = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
    binary = os.path.join(home, "bin", "vllm")
    os.execv(binary, [binary, *words, *sys.argv[1:]])
