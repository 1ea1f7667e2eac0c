"""What of our own calls is work for the engine: in flight while SGLang has it, and its answer shows that it works."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from middleware.calls import Calls
from middleware.flow import Flow
from middleware.upstream import Pool, UpstreamError
from tests.middleware.endpoints.sglang import EMBEDS, NAME, Sglang
from tests.middleware.metrics.counting import counting, page
from tests.middleware.serving import PATIENCE
from tests.middleware.upstreams import read_head, scripted

WORK = ["/v1/embeddings", "/v1/classify", "/v1/rerank", "/v1/score"]
NO_WORK = ["/health", "/metrics", "/v1/models", "/model_info", "/tokenize", "/detokenize"]
FINE = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
REFUSED = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n{}"
CUT = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{"


def called(path: str, answer: bytes) -> tuple[int, Flow]:
    """How much was in flight while SGLang had the request, and the flow when all was over."""
    flow, seen = Flow(), -1

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        await read_head(reader)
        await reader.readexactly(2)
        seen = flow.active
        writer.write(answer)

    async def main() -> None:
        async with asyncio.timeout(PATIENCE), scripted(script) as port:
            pool = Pool("127.0.0.1", port)
            try:
                await Calls(pool, flow).fetch("POST", path, b"{}")
            except UpstreamError:
                assert answer == CUT
            finally:
                pool.close()

    asyncio.run(main())
    return seen, flow


@pytest.mark.parametrize("path", WORK)
def test_work_is_in_flight_until_its_answer_is_there(path: str) -> None:
    during, flow = called(path, FINE)
    assert (during, flow.active) == (1, 0)
    assert flow.last


@pytest.mark.parametrize("path", NO_WORK)
def test_what_needs_no_scheduler_says_nothing_of_it(path: str) -> None:
    during, flow = called(path, FINE)
    assert (during, flow.active, flow.last) == (0, 0, 0.0)


@pytest.mark.parametrize("answer", [REFUSED, CUT], ids=["refused", "cut short"])
def test_work_without_an_answer_shows_nothing(answer: bytes) -> None:
    during, flow = called(WORK[0], answer)
    assert (during, flow.active, flow.last) == (1, 0, 0.0)


def test_who_cannot_connect_has_given_it_no_work() -> None:
    flow = Flow()

    async def main() -> None:
        with pytest.raises(UpstreamError):
            await Calls(Pool("127.0.0.1", 1), flow).fetch("POST", WORK[0], b"{}")

    asyncio.run(main())
    assert flow.active == 0


def test_embeddings_in_flight_are_seen_in_the_metrics() -> None:
    asked, go = threading.Event(), threading.Event()
    vector = {"index": 0, "object": "embedding", "embedding": [0.1]}
    usage = {"prompt_tokens": 1, "total_tokens": 1}

    async def slow(_: Any) -> Any:
        asked.set()
        await asyncio.to_thread(go.wait, PATIENCE)
        return {"object": "list", "data": [vector], "usage": usage, "model": NAME}

    with counting(Sglang({"/v1/embeddings": slow}, info=dict(EMBEDS))) as front:
        body = {"model": NAME, "input": "a"}
        thread = threading.Thread(target=lambda: front.post("/v1/embeddings", json=body))
        thread.start()
        assert asked.wait(PATIENCE)
        during = page(front).value("vllm_shim:requests_in_flight")
        go.set()
        thread.join()
        assert during == 1
        assert page(front).value("vllm_shim:requests_in_flight") == 0
