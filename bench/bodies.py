"""The requests: a small chat, one of a megabyte, a prompt of 200,000 token ids, and streams of a given pace.
Used by the figures; every client here names the same model.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from bench.recorded import ROLLOUT_TOKENS

MODEL = "bench"
CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
ROLLOUTS = "/inference/v1/generate"
GENERATE = "/generate"  # the same, in SGLang's words
SMALL_BYTES = 2_000
LARGE_BYTES = 1_000_000
TOKEN_IDS = 200_000
VOCABULARY = 151_936  # of bench/model
ROLLOUT_IDS = 1_000
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


def drawn(count: int, vocabulary: int = VOCABULARY, seed: int = 5) -> list[int]:
    draw = random.Random(seed)
    return [draw.randrange(vocabulary) for _ in range(count)]


def rollout(ids: list[int], tokens: int, **sampling: Any) -> bytes:
    """As a trainer's client asks: renderers 0.1.12."""
    wanted = {"temperature": 1.0, "top_p": 1.0, "top_k": -1, "min_p": 0.0, "max_tokens": tokens, "logprobs": 1}
    wanted |= {"skip_special_tokens": False, "return_token_ids": True}
    return json.dumps({"model": MODEL, "token_ids": ids, "sampling_params": wanted | sampling}).encode()


def generate(ids: list[int], tokens: int, **sampling: Any) -> bytes:
    """What that is to SGLang itself."""
    wanted = {"temperature": 1.0, "top_p": 1.0, "top_k": -1, "min_p": 0.0, "max_new_tokens": tokens}
    wanted |= {"skip_special_tokens": False}
    told = {"return_logprob": True, "top_logprobs_num": 1}
    return json.dumps({"input_ids": ids, "sampling_params": wanted | sampling, **told}).encode()


def token_ids() -> bytes:
    ids = drawn(TOKEN_IDS)
    return json.dumps({"model": MODEL, "prompt": ids, "max_tokens": 16}).encode()


class Bodies:
    """As files, for the load generators are processes of their own."""

    def __init__(self, folder: Path) -> None:
        self.small = _file(folder / "small.json", chat(prompt(SMALL_BYTES - 250)))
        self.large = _file(folder / "large.json", chat(prompt(LARGE_BYTES)))
        self.ids = _file(folder / "ids.json", token_ids())
        ids = drawn(ROLLOUT_IDS)
        self.rollout = _file(folder / "rollout.json", rollout(ids, ROLLOUT_TOKENS))
        self.generate = _file(folder / "generate.json", generate(ids, ROLLOUT_TOKENS))


def _file(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
