"""Rollouts as a trainer asks for them, token ids in and token ids with their probabilities out: what one costs before
the stand-in, for `bench.rounds`, and how many a second the real engine makes through us and past us, for `bench.real`.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any

from bench.bodies import GENERATE, ROLLOUTS, drawn, generate, rollout
from bench.contenders import DIRECT, MIDDLEWARE, STACK
from bench.figures import Bench
from bench.load import load
from bench.running import Failed, posted

OURS = (MIDDLEWARE.name, STACK.name)
# Of the real engine.
AT_ONCE = 8
EACH = 2
TOKENS = 16
PROMPT_IDS = 64
VOCABULARY = 40_000  # of SmolLM2, without what lies at its ends
PATIENCE = 300.0


def measured(bench: Bench) -> None:
    """The others pass SGLang's own request on: nobody else speaks vLLM's."""
    running, figures, bodies = bench.running, bench.sheet.figures, bench.bodies
    if bench.contender is DIRECT or bench.contender.requests_only:
        return
    path, body = (ROLLOUTS, bodies.rollout) if bench.contender.name in OURS else (GENERATE, bodies.generate)
    status = posted(running.port, path, body.read_bytes())[0]
    if status != HTTPStatus.OK:
        bench.objects("rollouts", f"it answers {status}")
        return
    done = load(running.port, path, body, connections=32, seconds=bench.sizes.seconds, pids=running.pids)
    if done.errors:
        bench.objects("rollouts", f"{done.errors} of {done.requests} went wrong")
        return
    figures["rollout_cpu_ms"] = done.cpu_ms()
    for name, pids in running.parts.items():
        figures[f"rollout_cpu_ms:{name}"] = sum(done.cpu_ms(running.pids.index(pid)) for pid in pids)


def per_second(port: int, *, ours: bool) -> float:
    """Greedy, of so many clients at once, each with a prompt of its own; Failed for any that is not whole."""
    with ThreadPoolExecutor(AT_ONCE) as clients:
        started = time.perf_counter()
        for done in [clients.submit(_client, port, ours, number) for number in range(AT_ONCE)]:
            done.result()
        return AT_ONCE * EACH / (time.perf_counter() - started)


def _client(port: int, ours: bool, number: int) -> None:
    ids = drawn(PROMPT_IDS, VOCABULARY, seed=number)
    path, made = (ROLLOUTS, rollout) if ours else (GENERATE, generate)
    body = made(ids, TOKENS, temperature=0, ignore_eos=True)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    with contextlib.closing(connection):
        for _ in range(EACH):
            connection.request("POST", path, body, {"content-type": "application/json"})
            answer = connection.getresponse()
            told = answer.read()
            if answer.status != HTTPStatus.OK or _tokens(json.loads(told), ours) != (TOKENS, TOKENS):
                raise Failed(f"{path}: status {answer.status}: {told[:200]!r}")


def _tokens(told: Any, ours: bool) -> tuple[int, int]:
    """How many ids, and how many of their probabilities."""
    if not ours:
        return len(told["output_ids"]), len(told["meta_info"]["output_token_logprobs"])
    [choice] = told["choices"]
    return len(choice["token_ids"]), len(choice["logprobs"]["content"])
