"""SGLang's place in a base image that has none: writes wherever a GPU's engine writes, takes the memory that it is told
to take, and answers as the stand-in does. The tests mount this folder beside the base's own packages.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

CHECKOUT = Path("/checkout")
# Of the same Python here, for the stand-in's parser of HTTP; SGLang's own has other packages.
OURS = Path("/opt/vllm-to-sglang/.venv/lib").glob("python3*/site-packages")
EAT = "STANDIN_EATS_MB"

if __name__ == "__main__":
    sys.path[:0] = [str(CHECKOUT), *map(str, OURS)]
    from tests.fakes import sglang as stand_in
    from tests.image.writing import write_everywhere

    write_everywhere()

    def eat(megabytes: int) -> None:
        """Slowly enough that the server is seen to serve before."""
        time.sleep(3)
        held = [bytearray(b"x" * (1 << 20)) for _ in range(megabytes)]
        time.sleep(3600)
        del held

    if os.environ.get(EAT):
        threading.Thread(target=eat, args=(int(os.environ[EAT]),), daemon=True).start()
    sys.exit(stand_in.main())
