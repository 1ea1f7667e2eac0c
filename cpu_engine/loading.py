"""What a person sees of a server that loads: its own sentences whole, the programs' many lines as one calm line.
`run.py` feeds it the server's output until the server is ready.
"""

from __future__ import annotations

import re
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cpu_engine.status import StatusLine

KEPT = 40
SECONDS_BETWEEN_LINES = 2.0

# What the supervisor puts in front of each program's line; a server's own sentences have nothing in front.
PROGRAM = re.compile(r"\[(?P<name>sglang|middleware|haproxy|supervisor)[^\]]*\] (?P<text>.*)")
# SGLang's log lines; what else it prints is warnings and tracebacks of what it tries and does without.
LOG_LINE = re.compile(r"\[\d{4}-\d\d-\d\d [^\]]*\] (?P<text>(?!Ignore import error).*)")

# What SGLang 0.5.23 writes when a phase begins.
PHASES = (
    ("server_args=", "SGLang has read its arguments"),
    ("Init parallel begin", "SGLang's scheduler has started"),
    ("Load weight begin", "loading the weights"),
    ("Memory pool end", "the KV cache is allocated"),
    ("Uvicorn running", "warming up"),
    ("fired up", "SGLang is ready"),
)


def is_noise(line: str) -> bool:
    """What SGLang prints beside its log: at its end, forty lines of the types that its libraries did not clean up."""
    program = PROGRAM.match(line)
    return program is not None and program["name"] == "sglang" and not LOG_LINE.match(program["text"])


class Loading:
    def __init__(self, status: StatusLine) -> None:
        self.status = status
        self.withheld: deque[str] = deque(maxlen=KEPT)
        self.began = self.printed_at = time.monotonic()
        self.phase = self.printed = ""
        self.latest = "starting"

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    def line(self, line: str) -> None:
        program = PROGRAM.match(line)
        if not program:
            self.status.print(line)
            return
        self.withheld.append(line)
        text = LOG_LINE.match(program["text"])
        if program["name"] == "sglang" and text:
            self.latest = text["text"]
            self.phase = next((phase for needle, phase in PHASES if needle in self.latest), self.phase)
        self.tick()

    def tick(self) -> None:
        if self.status.watched:
            self.status.show(f"{self.seconds:4.0f} s  {self.latest}")
        elif self.phase != self.printed and time.monotonic() - self.printed_at >= SECONDS_BETWEEN_LINES:
            self.status.print(f"{self.seconds:4.0f} s  {self.phase}")
            self.printed, self.printed_at = self.phase, time.monotonic()
