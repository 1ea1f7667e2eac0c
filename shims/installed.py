"""Of a wheel alone: every Python of its environment reads this at its start, through `vllm_to_sglang.pth`, so that
`python -m vllm...` finds the shadow package - behind a real vLLM, and in no other process: SGLang tries `import vllm`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import pairwise

SHADOW = f"{__file__.rpartition('/')[0]}/shadow"


def runs_vllm(words: Sequence[str]) -> bool:
    """Whether an interpreter with this command line runs a module of vLLM's: `-m vllm...`, `-Im vllm...`."""
    for option, word in pairwise(words):
        if option.startswith("-") and not option.startswith("--") and option.endswith("m"):
            return word.partition(".")[0] == "vllm"
    return False


if runs_vllm(sys.orig_argv) and SHADOW not in sys.path:
    sys.path.append(SHADOW)
