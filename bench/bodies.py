"""The requests: a small chat, one of a megabyte, a prompt of 200,000 token ids, and streams of a given pace.
Used by the figures; every client here names the same model.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

MODEL = "bench"
CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
SMALL_BYTES = 2_000
LARGE_BYTES = 1_000_000
TOKEN_IDS = 200_000
VOCABULARY = 151_936  # of bench/model
# A third is not ASCII, and stands in the body as it is: as clients send it.
WORDS = ("stream", "token", "engine", "request", "model", "the", "héllo", "über", "数据", "latency", "cache", "naïve")


def prompt(size: int) -> str:
    """About so many bytes of text, the same in every run."""
    draw = random.Random(5)
    words: list[str] = []
    length = 0
    while length < size:
        words.append(draw.choice(WORDS))
        length += len(words[-1].encode()) + 1
    return " ".join(words)


def chat(content: str, **fields: Any) -> bytes:
    messages = [{"role": "system", "content": "You are a helpful assistant."}, {"role": "user", "content": content}]
    request = {"model": MODEL, "messages": messages, "temperature": 0.7, "top_p": 0.9, "max_tokens": 200}
    return json.dumps(request | fields, ensure_ascii=False).encode()


def streamed(tokens: int, pace_ms: float) -> bytes:
    asked = f"a token every {pace_ms:g} ms, please. " if pace_ms else ""
    return chat(asked + prompt(1_500), stream=True, max_tokens=tokens)


def token_ids() -> bytes:
    draw = random.Random(5)
    ids = [draw.randrange(VOCABULARY) for _ in range(TOKEN_IDS)]
    return json.dumps({"model": MODEL, "prompt": ids, "max_tokens": 16}).encode()


class Bodies:
    """As files, for the load generators are processes of their own."""

    def __init__(self, folder: Path) -> None:
        self.small = _file(folder / "small.json", chat(prompt(SMALL_BYTES - 250)))
        self.large = _file(folder / "large.json", chat(prompt(LARGE_BYTES)))
        self.ids = _file(folder / "ids.json", token_ids())


def _file(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
