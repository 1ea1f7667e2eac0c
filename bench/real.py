"""The real SGLang on this CPU: tokens and rollouts a second, and the time to the first token, through the whole stack
and past it, of one engine, in turn. Called by `bench.__main__`; skipped with a sentence where there is no engine.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench import rollouts
from bench.bodies import MODEL
from bench.contenders import TRAINS
from bench.figures import watch
from bench.machine import ROOT
from bench.running import free_port, process, wait_until_it_chats
from bench.streams import Asked

ENGINE = ROOT / ".venv-engine/bin/python"
MODEL_FOLDER = ROOT / ".engine/SmolLM2-135M-Instruct"
LAUNCH = ROOT / "cpu_engine/launch"
LOAD_SECONDS = 300.0
STREAMS = 8
TOKENS = 32
FIRSTS = 8  # requests for one first token each
SIDES = ("direct", "ours")
Say = Callable[[str], None]


class Skipped(Exception):
    """Why, in one sentence."""


@dataclass
class Real:
    """One value a round for each side."""

    tokens_per_second: dict[str, list[float]] = field(default_factory=lambda: {side: [] for side in SIDES})
    ttft_ms: dict[str, list[float]] = field(default_factory=lambda: {side: [] for side in SIDES})
    rollouts_per_second: dict[str, list[float]] = field(default_factory=lambda: {side: [] for side in SIDES})

    @property
    def throughput_ratio(self) -> float:
        return statistics.median(self.tokens_per_second["ours"]) / statistics.median(self.tokens_per_second["direct"])

    def ratios(self) -> list[float]:
        """Of each round."""
        return _ratios(self.tokens_per_second)

    def rollout_ratios(self) -> list[float]:
        return _ratios(self.rollouts_per_second)

    def to_json(self) -> dict[str, object]:
        return {**asdict(self), "throughput_ratio": self.throughput_ratio}


def _ratios(sides: dict[str, list[float]]) -> list[float]:
    return [ours / direct for ours, direct in zip(sides["ours"], sides["direct"], strict=True)]


def body(tokens: int) -> str:
    request = {"model": MODEL, "messages": [{"role": "user", "content": "Tell me of the sea, at length."}]}
    return json.dumps({**request, "stream": True, "max_tokens": tokens, "ignore_eos": True, "temperature": 0})


def measured(rounds: int, say: Say) -> Real:
    if not ENGINE.exists() or not MODEL_FOLDER.is_dir():
        raise Skipped("the CPU engine is not installed (`make engine`)")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        env = {
            "VLLM_SHIM_RUN_DIR": str(folder / "run"),
            "VLLM_SHIM_LOG": str(folder / "shim.log"),
            "VLLM_SHIM_ENGINE": str(LAUNCH),
            "VLLM_SHIM_ENGINE_ARGS": "--max-total-tokens 4096",
            "VLLM_SHIM_PYTHON": sys.executable,
            **TRAINS,
        }
        words = [str(ROOT / "shims/bin/vllm"), "serve", str(MODEL_FOLDER), "--served-model-name", MODEL]
        words += ["--max-model-len", "2048", "--max-num-seqs", str(STREAMS), "--host", "127.0.0.1", "--port", str(port)]
        say("the real engine: it loads")
        with process(words, folder / "log", env=env) as running:
            wait_until_it_chats(port, running, folder / "log", LOAD_SECONDS, right="")
            return _compared({"ours": port, "direct": port + 1}, rounds, say)


def _compared(ports: dict[str, int], rounds: int, say: Say) -> Real:
    real = Real()
    for side in SIDES:  # What is asked here fills the caches of both.
        watch(Asked(ports[side], streams=STREAMS, tokens=8, pace_ms=0, body=body(8)))
        rollouts.per_second(ports[side], ours=side == "ours")
    for number in range(rounds):
        say(f"the real engine: round {number + 1} of {rounds}")
        # Whoever is first is so every other time.
        for side in SIDES if number % 2 else reversed(SIDES):
            real.rollouts_per_second[side].append(rollouts.per_second(ports[side], ours=side == "ours"))
            seen = watch(Asked(ports[side], streams=STREAMS, tokens=TOKENS, pace_ms=0, body=body(TOKENS)))
            alone = watch(Asked(ports[side], streams=1, tokens=2, pace_ms=0, repeats=FIRSTS, body=body(2)))
            broken = seen.broken + alone.broken
            if broken:
                raise Skipped(f"{side}: {broken[0]}")
            real.tokens_per_second[side].append(STREAMS * TOKENS / seen.seconds)
            real.ttft_ms[side].append(statistics.median(alone.ttft_ms))
    return real
