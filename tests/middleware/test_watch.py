"""How the engine's state follows a real upstream: refusing, starting, hanging, dying, coming back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from middleware import watch
from middleware.calls import Calls
from middleware.engine import Engine, State
from middleware.phases import Phase, lost_file
from middleware.upstream import Pool
from middleware.watch import Watcher
from middleware.word import Word, leave_word
from tests.middleware.serving import PATIENCE, free_port
from tests.middleware.upstreams import HEALTHY, LISTING, Script, read_head, scripted

STARTING = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"
NO_MODELS = b'HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{"data":[]}'
NO_JSON = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nno"
HANG = b"hang"


def watching(
    answers: dict[bytes, bytes],
    test: Callable[[Watcher, Engine], Awaitable[None]],
    ready_file: Path | None = None,
    log: Path | None = None,
) -> None:
    async def main() -> None:
        async with asyncio.timeout(PATIENCE), scripted(answering(answers)) as port:
            engine, pool = Engine(), Pool("127.0.0.1", port)
            try:
                await test(Watcher(engine, Calls(pool), ready_file, engine_log=log), engine)
            finally:
                pool.close()

    asyncio.run(main())


def answering(answers: dict[bytes, bytes]) -> Script:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await read_head(reader):
            answer = answers[head.split(b" ", 2)[1]]
            if answer == HANG:
                await reader.read()
            if answer == b"":
                return
            writer.write(answer)
            await writer.drain()

    return script


def test_nobody_there_is_loading_as_long_as_it_was_never_ready() -> None:
    async def test() -> None:
        engine = Engine()
        await Watcher(engine, Calls(Pool("127.0.0.1", free_port())), None).poll()
        assert engine.state is State.LOADING
        assert engine.why == "nothing answers on its port"

    asyncio.run(test())


@pytest.mark.parametrize(
    "answers",
    [
        {b"/health": STARTING},
        {b"/health": HEALTHY, b"/v1/models": STARTING},
        {b"/health": HEALTHY, b"/v1/models": NO_MODELS},
        {b"/health": HEALTHY, b"/v1/models": NO_JSON},
        {b"/health": b""},
    ],
    ids=["health says no", "models says no", "no model yet", "no list", "closes"],
)
def test_it_is_not_ready_before_it_is_healthy_and_lists_a_model(answers: dict[bytes, bytes]) -> None:
    async def test(watcher: Watcher, engine: Engine) -> None:
        await watcher.poll()
        assert engine.state is State.LOADING

    watching(answers, test)


@pytest.mark.parametrize("after", [STARTING, b""], ids=["health says no", "closes"])
def test_an_engine_that_was_ready_is_gone_at_once_and_comes_back(after: bytes, tmp_path: Path) -> None:
    answers = {b"/health": HEALTHY, b"/v1/models": LISTING}
    ready_file = tmp_path / "ready"

    async def test(watcher: Watcher, engine: Engine) -> None:
        for _ in range(2):
            answers[b"/health"] = HEALTHY
            await watcher.poll()
            assert engine.health().status_code == 200
            assert ready_file.stat().st_mode & 0o777 == 0o600
            assert float(ready_file.read_text()) > 0
            written = ready_file.stat().st_mtime_ns
            await watcher.poll()
            assert ready_file.stat().st_mtime_ns == written  # Only when it becomes ready.
            answers[b"/health"] = after
            await watcher.poll()
            assert engine.state is State.GONE

    watching(answers, test, ready_file)


@pytest.mark.parametrize("state", [State.PAUSED, State.ASLEEP])
@pytest.mark.parametrize("said", [HEALTHY, STARTING, HANG], ids=["it answers", "it says no", "it says nothing"])
def test_a_paused_engine_stays_paused_while_its_connection_stands_and_is_gone_when_it_dies(
    state: State, said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "PATIENCE_SECONDS", 0.05)
    answers = {b"/health": HEALTHY, b"/v1/models": LISTING}

    async def test(watcher: Watcher, engine: Engine) -> None:
        await watcher.poll()
        engine.become(state, "training")
        # A /health that makes a token would wait for the end of the pause, and be poisoned by it.
        del answers[b"/health"]
        answers[b"/model_info"] = said
        await watcher.poll()
        assert (engine.state, engine.health().status_code) == (state, 200)
        answers[b"/model_info"] = b""
        await watcher.poll()
        assert engine.health().status_code == 503
        answers[b"/health"] = HEALTHY
        await watcher.poll()
        assert engine.readiness().status_code == 200

    watching(answers, test)


def test_the_log_tells_the_phase_while_it_loads_and_of_each_life_anew(tmp_path: Path) -> None:
    answers, log = {b"/health": STARTING, b"/v1/models": LISTING}, tmp_path / "sglang.log"

    def says(text: str) -> None:
        with log.open("a") as file:
            file.write(text)

    async def test(watcher: Watcher, engine: Engine) -> None:
        await watcher.poll()
        assert engine.phase is None
        says("[2026-11-21 20:16:54] Load weight begin.")
        await watcher.poll()
        assert engine.phase is Phase.LOAD
        answers[b"/health"] = HEALTHY
        await watcher.poll()
        assert (engine.state, engine.phase) == (State.READY, None)
        says("Multi-thread loading shards of an adapter")
        answers[b"/health"] = b""
        await watcher.poll()
        await watcher.poll()
        assert (engine.state, engine.phase) == (State.GONE, None)
        says("Application startup complete.")
        await watcher.poll()
        assert engine.phase is Phase.WARM_UP

    watching(answers, test, log=log)


def test_a_poll_that_hangs_changes_nothing_until_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "PATIENCE_SECONDS", 1.0)
    answers = {b"/health": HEALTHY, b"/v1/models": LISTING}

    async def test(watcher: Watcher, engine: Engine) -> None:
        await watcher.poll()
        answers[b"/health"] = HANG
        hanging = asyncio.create_task(watcher.poll())
        await asyncio.sleep(0.1)
        assert engine.health().status_code == 200
        await hanging
        assert engine.state is State.GONE
        assert "did not answer" in engine.why

    watching(answers, test)


def test_a_busy_engine_has_ten_seconds() -> None:
    assert watch.PATIENCE_SECONDS == 10


def test_it_goes_on_after_a_poll_that_failed_as_nobody_thought(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(watch, "INTERVAL_SECONDS", 0.0)
    third_time = asyncio.Event()

    class Failing(Watcher):
        __slots__ = ()

        async def poll(self) -> None:
            if caplog.text.count("asking the engine how it is failed") == 2:
                third_time.set()
            raise IndexError

    async def test() -> None:
        running = asyncio.create_task(Failing(Engine(), Calls(Pool("127.0.0.1", 1)), None).run())
        async with asyncio.timeout(PATIENCE):
            await third_time.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(test())


def test_word_is_left_whole_and_anew(tmp_path: Path) -> None:
    path = tmp_path / "ready"
    leave_word(path, "1")
    first = path.stat()
    leave_word(path, "2")
    assert path.stat().st_ino != first.st_ino
    assert path.read_text() == "2\n"
    assert list(tmp_path.iterdir()) == [path]


# Found by chaos: a thief of the dead engine's port that says nothing kept /health at 200 for ten seconds.
def test_an_engine_whose_word_supervision_has_taken_away_is_gone_though_its_port_hangs(tmp_path: Path) -> None:
    answers = {b"/health": HEALTHY, b"/v1/models": LISTING}
    ready_file = tmp_path / "ready"

    async def test(watcher: Watcher, engine: Engine) -> None:
        await watcher.poll()
        answers[b"/health"] = HANG
        ready_file.unlink()
        await watcher.poll()
        assert (engine.state, engine.why) == (State.GONE, "its process has ended")
        answers[b"/health"] = HEALTHY
        await watcher.poll()
        assert engine.state is State.READY
        assert ready_file.exists()

    watching(answers, test, ready_file)


def test_an_engine_that_supervision_has_given_up_is_gone_though_it_answers_until_its_next_life(tmp_path: Path) -> None:
    ready_file = tmp_path / "ready"

    async def test(watcher: Watcher, engine: Engine) -> None:
        await watcher.poll()
        lost_file(ready_file).write_text("its process sglang::scheduler (pid 7) has died\n")
        for _ in range(2):
            await watcher.poll()
            assert (engine.state, engine.why) == (State.GONE, "its process sglang::scheduler (pid 7) has died")
        lost_file(ready_file).unlink()
        await watcher.poll()
        assert engine.state is State.READY

    watching({b"/health": HEALTHY, b"/v1/models": LISTING}, test, ready_file)


# Found by chaos (tests/chaos): the disk was full when the engine became ready, and its death a failed start.
def test_word_that_could_not_be_left_is_left_as_soon_as_it_can_be(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ready_file = tmp_path / "missing" / "ready"

    async def test(watcher: Watcher, engine: Engine) -> None:
        for _ in range(3):
            await watcher.poll()
        assert engine.state is State.READY
        assert caplog.text.count("cannot be written") == 1
        ready_file.parent.mkdir()
        await watcher.poll()
        assert list(ready_file.parent.iterdir()) == [ready_file]
        assert engine.state is State.READY

    watching({b"/health": HEALTHY, b"/v1/models": LISTING}, test, ready_file)


def test_word_that_is_owed_of_an_engine_that_is_gone_is_not_left(tmp_path: Path) -> None:
    answers = {b"/health": HEALTHY, b"/v1/models": LISTING}
    ready_file = tmp_path / "missing" / "ready"

    async def test(watcher: Watcher, engine: Engine) -> None:
        await watcher.poll()
        answers[b"/health"] = b""
        await watcher.poll()
        ready_file.parent.mkdir()
        await watcher.poll()
        assert not ready_file.exists()

    watching(answers, test, ready_file)


def test_a_word_is_replaced_whole_so_that_who_comes_after_us_reads_no_half_of_one(tmp_path: Path) -> None:
    word = Word(tmp_path / "paused")
    word.write("keep")
    with (tmp_path / "paused").open() as before:
        word.write("abort")
        assert before.read().strip() == "keep"
    assert word.read() == "abort"
    word.write("")
    assert (word.read(), list(tmp_path.iterdir())) == ("", [])


def test_a_word_that_cannot_be_taken_away_is_a_line_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Word(tmp_path).write("")
    assert f"the file {tmp_path} cannot be removed" in caplog.text


def test_word_that_cannot_be_left_is_a_line_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    leave_word(tmp_path / "missing" / "ready", "1")
    assert "cannot be written: No such file or directory" in caplog.text


def test_a_connection_that_the_engine_may_be_about_to_close_is_not_used_for_a_check() -> None:
    async def once_a_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened = asyncio.get_running_loop().time()
        while head := await read_head(reader):
            if asyncio.get_running_loop().time() - opened > 2.5:
                return  # Closed just as the check arrives.
            writer.write(LISTING if b"/v1/models" in head else HEALTHY)
            await writer.drain()

    async def main() -> None:
        async with asyncio.timeout(PATIENCE), scripted(once_a_connection) as port:
            engine = Engine()
            watcher = Watcher(engine, Calls(pool := Pool("127.0.0.1", port)), None)
            await watcher.poll()
            await asyncio.sleep(3)
            await watcher.poll()
            pool.close()
        assert engine.state is State.READY

    asyncio.run(main())
