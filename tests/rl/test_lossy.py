"""The trainer and the network of the rehearsals by themselves: what is lost is asked again, and nothing else is."""

from __future__ import annotations

import asyncio

import pytest

from tests.middleware.serving import Served, stand_in
from tests.rl.lossy import losing
from tests.rl.orders import Order
from tests.rl.rollouts import Malformed, read
from tests.rl.trainer import Stopped, training

ABORT = Order("/abort_request", 10, 60)
REFUSED = Order("/status/400", 10, 60)


def entry(token: str, logprob: float) -> dict[str, object]:
    return {"token": token, "logprob": logprob}


def test_a_lost_answer_was_given_and_is_asked_for_again() -> None:
    async def rehearse(engine: Served) -> None:
        async with losing(engine.port, {ABORT.path: 1}) as network:
            async with training(f"http://127.0.0.1:{network.port}", "key") as trainer:
                await trainer.give(ABORT, {"rid": "x"})
                assert trainer.attempts(ABORT) == [0, 200]
            [(path, answer)] = network.lost
            assert path == ABORT.path
            assert answer.startswith(b"HTTP/1.1 200 ")

    with stand_in() as engine:
        before = engine.stats()["requests"]
        asyncio.run(rehearse(engine))
        assert engine.stats()["requests"] - before == 3, "the two attempts, and the question itself"


def test_a_refusal_stops_the_run_at_once_with_the_servers_words() -> None:
    async def rehearse(engine: Served) -> None:
        async with training(engine.url, "key") as trainer:
            with pytest.raises(Stopped, match=r"400: .*the stand-in says 400"):
                await trainer.give(REFUSED)
            assert trainer.attempts(REFUSED) == [400]

    with stand_in() as engine:
        asyncio.run(rehearse(engine))


@pytest.mark.parametrize(
    ("entries", "wrong"),
    [
        ([entry("token_id:7", -0.5)], "2 ids and 1 log"),
        ([entry("token_id:7", -0.5), entry("token_id:7", -0.5)], "beside the id 8"),
        ([entry("token_id:7", -0.5), entry("token_id:8", -9999.0)], "of -9999.0"),
        ([entry("token_id:7", -0.5), entry("token_id:8", float("-inf"))], "of -inf"),
    ],
)
def test_an_answer_that_no_training_can_use_is_refused(entries: list[dict[str, object]], wrong: str) -> None:
    choice = {"token_ids": [7, 8], "logprobs": {"content": entries}, "finish_reason": "stop"}
    with pytest.raises(Malformed, match=wrong):
        read({"choices": [choice]})
