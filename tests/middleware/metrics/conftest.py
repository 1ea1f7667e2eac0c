"""The page that is held against vLLM's and against the document: over what a real SGLang told, after a few requests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from shims import cli, plan
from shims.facts import Facts
from tests.middleware.endpoints.sglang import NAME, Sglang
from tests.middleware.metrics import answers
from tests.middleware.metrics.answers import CHAT, CHATS, COMPLETIONS, GENERATE, NATIVE
from tests.middleware.metrics.counting import counting, idle_page
from tests.middleware.metrics.pages import RECORDED, Page


@pytest.fixture(scope="package")
def ours() -> Iterator[Page]:
    """With the flags of the recorded vLLM, after requests to the routes that were asked there."""
    words = ["serve", "m", "--max-model-len", "2048", "--enable-lora", "--max-loras", "2", "--served-model-name", NAME]
    made = plan.make(cli.from_words(words), {}, Facts())
    told: dict[str, Any] = {CHATS: answers.chat("stop"), COMPLETIONS: answers.completion("stop"), GENERATE: (500, {})}
    engine = Sglang({**told, "/metrics": (200, RECORDED)})
    with counting(engine, policy=made.policy) as front:
        front.post(CHATS, json=CHAT).raise_for_status()
        front.post(COMPLETIONS, json={"model": NAME, "prompt": "a"}).raise_for_status()
        assert front.post(CHATS, json={**CHAT, "model": "nobody"}).status_code == 404
        front.post(CHATS, json={**CHAT, "use_beam_search": False}).raise_for_status()  # A rule takes it out.
        assert front.post(GENERATE, json=NATIVE).status_code == 500
        yield idle_page(front)
