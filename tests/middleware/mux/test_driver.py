"""How a member starts, over a real supervisord and a stand-in that loads for a while."""

from __future__ import annotations

import asyncio

from middleware.engine import State
from middleware.mux import members
from middleware.mux.programs import Programs
from middleware.settings import Settings
from tests.middleware.mux.several import member, several


def test_the_word_of_the_process_before_is_not_taken_for_that_of_a_new_one() -> None:
    loads = {"STANDIN_LOAD_SECONDS": "1", "STANDIN_LOAD_REFUSES": "1"}
    with several(member("a"), engine_env={"a": loads}) as front:

        async def story() -> None:
            programs = Programs(front.folder)
            served = members.make(front.mux.members[0], Settings("127.0.0.1", 0), programs)
            assert served.built is not None
            async with served.lifespan():
                starting = asyncio.create_task(served.driver.start())
                while not programs.runs("sglang-a"):
                    served.built.context.engine.become(State.READY, "it served when it was asked")
                    await asyncio.sleep(0)
                await starting
                assert served.built.context.engine.state is State.READY
                await served.driver.stop()

        asyncio.run(story())
