"""The stand-in's memory on a device: one resident at a time where one fits, and SGLang 0.5.23's deadly rules of release
and resume. Used by `tests.fakes.engine`; without STANDIN_DEVICE nothing is occupied, and the rules hold all the same.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from typing import NoReturn

from tests.fakes.conversation import Conversation, Request

GIB = 1024**3
USED = GIB // 2
ALL = frozenset({"kv_cache", "weights", "cuda_graph"})


class Occupation:
    """`device` is a folder with `lock`, held by who is resident, `used`, which a driver would show as a file, and
    `events`: who came and went when, a line of JSON each."""

    paths = ("/release_memory_occupation", "/resume_memory_occupation")

    def __init__(self, model: str = "") -> None:
        self._model = model
        self._device = os.environ.get("STANDIN_DEVICE", "")
        self._lock = -1
        self.released: set[str] = set()

    def take(self) -> None:
        if not self._device:
            return
        self._lock = os.open(f"{self._device}/lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._say(f"{self._device}/violations", f"{os.getpid()} found the device taken\n", append=True)
            self._die("torch.OutOfMemoryError: CUDA out of memory, says the stand-in")
        self._say(f"{self._device}/used", str(USED))
        self.note("resident")

    def order(self, request: Request, to: Conversation, generating: int) -> None:
        tags = set(request.json().get("tags") or ALL)
        if request.path == self.paths[0]:
            if generating:
                self._die("AssertionError: release_memory_occupation should be called only when server is idle.")
            self.released |= tags
            self.note("leaves")
            time.sleep(float(os.environ.get("STANDIN_RELEASE_SECONDS", "0")))
            if os.environ.get("STANDIN_FREES_NOTHING") != "1":
                self.leave() if "weights" in self.released else self._say(f"{self._device}/used", str(USED // 4))
        else:
            for tag in tags:
                if tag not in self.released:
                    self._die(f"KeyError: {tag!r}")
                self.released.remove(tag)
            time.sleep(float(os.environ.get("STANDIN_RESUME_SECONDS", "0")))
            if "weights" in tags and self._lock < 0:
                self.take()
            elif self._lock >= 0:
                self._say(f"{self._device}/used", str(USED))
        to.answer(200, b"null")

    def leave(self) -> None:
        if self._lock >= 0:
            self._say(f"{self._device}/used", "0")
            self.note("gone")
            os.close(self._lock)
            self._lock = -1

    def note(self, what: str) -> None:
        if self._device:
            event = {"at": time.time(), "pid": os.getpid(), "model": self._model, "what": what}
            self._say(f"{self._device}/events", json.dumps(event) + "\n", append=True)

    @staticmethod
    def _say(path: str, text: str, *, append: bool = False) -> None:
        with open(path, "a" if append else "w", encoding="utf-8") as file:  # noqa: PTH123
            file.write(text)

    def _die(self, words: str) -> NoReturn:
        self.note("dies")
        print(words, file=sys.stderr, flush=True)
        os._exit(1)
