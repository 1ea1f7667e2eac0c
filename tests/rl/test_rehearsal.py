"""A training run in small: ten steps of prime-rl's loop on the real engine, behind an API key, then with faults put in.
After every fault the run goes on with the weights that the trainer believes are there, or ends with a sentence.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.engine.conftest import KEY, LAUNCH, LOAD_SECONDS, MODEL, NAME, TEMPLATE
from tests.rl import broadcast
from tests.rl.lossy import losing
from tests.rl.orders import PAUSE, RESUME, UPDATE
from tests.rl.rollouts import Rollouts
from tests.rl.trainer import Stopped, Trainer, training
from tests.server import PATIENCE, Server, serving, wait_for

pytestmark = pytest.mark.engine

STEPS = 10
PROMPT = (29, 1000, 7042, 2, 40, 5000, 911, 12)  # of no meaning: whatever follows is likely after no other weights
TOKENS = 8
FLYING, FLYING_TOKENS = 2, 16
PROBE_SECONDS = 0.1
# SGLang's own probe is silent for 20 s of a pause; Kubernetes gives a probe one second, and this machine is slow.
QUICK_SECONDS = 5.0
TOLD = ("vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:kv_cache_usage_perc", "vllm:cache_config_info")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An engine of its own: its weights change, and it is killed."""
    if not MODEL.is_dir():
        pytest.fail("the CPU engine is not installed: run `make engine`")
    words = [str(MODEL), "--served-model-name", NAME, "--max-model-len", "2048", "--max-num-seqs", "8"]
    words += ["--chat-template", str(TEMPLATE), "--logprobs-mode", "processed_logprobs"]
    env = {"VLLM_SHIM_ENGINE_ARGS": "--max-total-tokens 4096", "VLLM_API_KEY": KEY, "VLLM_SHIM_RL": "1"}
    with serving(tmp_path_factory.mktemp("rehearsal"), *words, engine=LAUNCH, env=env) as one:
        one.client.headers["authorization"] = f"Bearer {KEY}"
        one.wait_ready(LOAD_SECONDS)
        yield one


@dataclass
class Health:
    """What /health said all the while; `wrong` has what a probe would have taken for a death."""

    asked: int = 0
    wrong: list[str] = field(default_factory=list)

    async def watch(self, client: httpx.AsyncClient) -> None:
        while True:
            self.asked += 1
            try:
                status = (await client.get("/health", timeout=QUICK_SECONDS)).status_code
            except httpx.HTTPError as failure:
                self.wrong.append(repr(failure))
            else:
                if status != 200:
                    self.wrong.append(str(status))
            await asyncio.sleep(PROBE_SECONDS)


@dataclass(frozen=True)
class Run:
    """A trainer, who asks for rollouts, and a folder that it shares with the server."""

    server: Server
    trainer: Trainer
    rollouts: Rollouts
    client: httpx.AsyncClient
    shared: Path

    async def asked(self, version: str) -> tuple[int, ...]:
        """What the policy says to the one prompt; without a salt it would go on from what older weights made of it."""
        salt = f"{self.shared.name}, {version}"
        rollout = await self.rollouts.ask(PROMPT, tokens=TOKENS, version=salt, least=TOKENS)
        assert len(rollout.ids) == TOKENS
        return rollout.ids

    def written(self, step: int) -> Path:
        """All but the last two are thrown away, as a trainer does with its disk."""
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.shared / f"step_{step - 2}")
        return broadcast.write(MODEL, self.shared / f"step_{step}", step)

    async def version(self) -> str:
        return str((await self.client.get("/weight_info")).raise_for_status().json()["weight_version"])


@contextlib.asynccontextmanager
async def running(server: Server, shared: Path, admin: str = "") -> AsyncIterator[Run]:
    headers = {"authorization": f"Bearer {KEY}"}
    async with (
        training(admin or server.url, KEY) as trainer,
        httpx.AsyncClient(base_url=server.url, headers=headers, timeout=PATIENCE, trust_env=False) as client,
    ):
        await trainer.ready(NAME, LOAD_SECONDS)
        yield Run(server, trainer, Rollouts(client, NAME), client, shared)


@contextlib.asynccontextmanager
async def flying(run: Run, version: str) -> AsyncIterator[None]:
    """Rollouts and a stream that have begun before the block, are in the middle of it, and are whole behind it."""
    begun = asyncio.Event()
    rollouts = [
        asyncio.create_task(run.rollouts.ask(PROMPT, tokens=FLYING_TOKENS, version=version, least=FLYING_TOKENS))
        for _ in range(FLYING)
    ]
    stream = asyncio.create_task(run.rollouts.stream("Tell me of the sea.", begun, tokens=FLYING_TOKENS))
    async with asyncio.timeout(PATIENCE):
        await begun.wait()
    yield
    for rollout in await asyncio.gather(*rollouts):
        assert (len(rollout.ids), rollout.finish, rollout.attempts) == (FLYING_TOKENS, "length", 1)
        assert len(rollout.versions) == 2, f"the update did not come in its middle: {rollout.versions}"
    told = await stream
    assert (told.finish, told.done) == ("length", True)


async def until(happens: Callable[[], bool], what: str) -> None:
    await asyncio.to_thread(wait_for, happens, what)


def test_ten_steps_change_the_policy_ten_times_and_nobody_notices_an_update(server: Server, tmp_path: Path) -> None:
    async def rehearse() -> None:
        async with running(server, tmp_path) as run:
            health = Health()
            watching = asyncio.create_task(health.watch(run.client))
            said = [await run.asked("step_0")]
            for step in range(1, STEPS + 1):
                folder = run.written(step)
                asked = health.asked
                async with flying(run, f"step_{step - 1}"):
                    await run.trainer.step(folder)
                    told = await run.trainer.metrics()
                    assert [name for name in TOLD if name not in told] == []
                assert health.asked > asked
                said.append(await run.asked(f"step_{step}"))
                assert said[-1] != said[-2], f"step {step} says what the last one said"
                assert await run.version() == f"step_{step}"
                await run.trainer.ready(NAME, PATIENCE)
            # No noise: the same weights say the same again.
            await run.trainer.step(run.written(1))
            assert await run.asked("step_1, again") == said[1]
            watching.cancel()
            assert health.wrong == []
            for order in (PAUSE, UPDATE, RESUME):
                assert run.trainer.attempts(order) == [200] * (STEPS + 1)

    asyncio.run(rehearse())


def test_lost_answers_are_asked_for_again_and_the_step_is_done(server: Server, tmp_path: Path) -> None:
    async def rehearse() -> None:
        lost = {PAUSE.path: 1, UPDATE.path: 1, RESUME.path: 1}
        async with losing(server.port, lost) as network:
            async with running(server, tmp_path, f"http://127.0.0.1:{network.port}") as run:
                before = await run.asked("before")
                async with flying(run, "before"):
                    await run.trainer.step(run.written(12))
                for order in (PAUSE, UPDATE, RESUME):
                    assert run.trainer.attempts(order) == [0, 200]
                assert await run.asked("step_12") != before
                assert await run.version() == "step_12"
            assert [path for path, answer in network.lost if b" 200 " in answer.splitlines()[0]] == list(lost)

    asyncio.run(rehearse())


def test_a_folder_that_comes_late_and_in_pieces_is_waited_for(server: Server, tmp_path: Path) -> None:
    async def rehearse() -> None:
        async with running(server, tmp_path) as run:
            before = await run.asked("before")
            whole, late = run.written(13), tmp_path / "late"
            step = asyncio.create_task(run.trainer.step(late))
            await until(lambda: len(run.trainer.attempts(UPDATE)) >= 1, "it is refused")
            # A half of it, as a disk of the network shows a file that is being written.
            with (whole / broadcast.WEIGHTS).open("rb") as source, (late / broadcast.WEIGHTS).open("wb") as target:
                shutil.copyfileobj(source, target)
                target.truncate(100_000_000)
            await until(lambda: len(run.trainer.attempts(UPDATE)) >= 2, "it is refused again")
            (whole / broadcast.WEIGHTS).rename(late / broadcast.WEIGHTS)
            await step
            *refused, done = run.trainer.attempts(UPDATE)
            assert (len(refused) >= 2, set(refused), done) == (True, {500}, 200)
            assert "is not whole" in "".join(told.text for told in run.trainer.told)
            assert await run.asked("late") != before
            assert await run.version() == "late"

    asyncio.run(rehearse())


def test_an_engine_killed_in_mid_update_comes_back_and_never_with_the_weights_of_its_start(
    server: Server, tmp_path: Path
) -> None:
    async def rehearse() -> None:
        async with running(server, tmp_path) as run:
            await run.trainer.step(run.written(4))
            fourth = await run.asked("step_4")
            folder = run.written(5)
            await run.trainer.give(PAUSE)
            scheduler = next(pid for pid, line in server.processes().items() if "sglang::scheduler" in line)
            os.kill(scheduler, signal.SIGSTOP)  # The update would be over before it could be disturbed.
            update = asyncio.create_task(run.trainer.give(UPDATE, {"weight_dir": str(folder)}))
            rollout = asyncio.create_task(run.rollouts.ask(PROMPT, tokens=TOKENS, version="flies", least=TOKENS))
            await asyncio.sleep(1.0)
            assert not update.done()
            os.kill(server.pid("sglang"), signal.SIGKILL)
            await update
            await run.trainer.give(RESUME)
            refused = run.trainer.attempts(UPDATE)[1:-1]
            assert refused, "the update was not disturbed"
            told = (server.run_dir / "log/middleware.log").read_text()
            assert f"has loaded the weights of {tmp_path / 'step_4'} again" in told
            assert set((await rollout).versions) <= {"step_4", "step_5"}
            assert await run.asked("step_5") != fourth
            assert await run.version() == "step_5"

    asyncio.run(rehearse())


def test_a_trainer_that_wants_nccl_is_stopped_with_a_sentence_and_the_engine_goes_on(server: Server) -> None:
    async def rehearse() -> None:
        async with running(server, Path("/nonexistent")) as run:
            await run.trainer.announce("127.0.0.1", 29501)
            with pytest.raises(Stopped, match=r'weight_broadcast\.type=\\*"filesystem'):
                await run.trainer.step(None)
            assert run.trainer.attempts(UPDATE) == [400]
            assert run.trainer.attempts(RESUME) == [200]
            assert len(await run.asked("after")) == TOKENS

    asyncio.run(rehearse())
