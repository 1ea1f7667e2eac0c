"""A client cannot make series: whatever it sends, a label has one of the values that our tables have."""

from __future__ import annotations

import random
import string
from typing import Any

from tests.middleware.endpoints.sglang import NAME, Sglang
from tests.middleware.metrics import answers
from tests.middleware.metrics.answers import CHAT, CHATS, COMPLETIONS, GENERATE
from tests.middleware.metrics.counting import counting, idle_page
from tests.middleware.serving import Served

REQUESTS = 400
PATHS = (CHATS, COMPLETIONS, GENERATE, "/v1/messages", "/v1/responses", "/tokenize", "/v1/embeddings", "/api/chat")
ENDINGS = ("stop", "length", "tool_calls", "abort", "of_tomorrow", "content_filter")


def word(chance: random.Random) -> str:
    return "".join(chance.choices(string.ascii_letters + '_-."\\\n{}', k=chance.randint(1, 12)))


def value(chance: random.Random, depth: int = 0) -> Any:
    simple: tuple[Any, ...] = (None, True, -1, 10**20, 0.5, "a", word(chance), [], {})
    if depth < 2 and chance.random() < 0.4:
        return {word(chance): value(chance, depth + 1), "type": word(chance)}
    return chance.choice(simple)


def ask(front: Served, chance: random.Random) -> int:
    kind = chance.randrange(4)
    if kind == 0:
        path = "/" + "/".join(
            chance.choices(["v1", "responses", "models", word(chance), "adapters"], k=chance.randint(1, 4))
        )
        path = path.replace("\n", "%0a").replace("\\", "%5c").replace('"', "%22")
        return front.client.request(chance.choice(["GET", "POST", "PUT", "PROPFIND"]), path).status_code
    body = {**CHAT, "prompt": "a", "text": "a", "input": "a"}
    for _ in range(chance.randint(1, 3)):
        body[chance.choice([word(chance), *CHAT, "top_p", "bad_words", "response_format", "stop"])] = value(chance)
    if kind == 1:
        body["model"] = word(chance)
    headers = {"x-standin": word(chance).replace("\n", "")} if kind == 2 else {}
    return front.post(chance.choice(PATHS), json=body, headers=headers).status_code


def heads(front: Served) -> set[str]:
    text = idle_page(front).text.splitlines()
    return {line.rpartition(" ")[0] for line in text if line.startswith(("vllm:", "vllm_shim:", "http_"))}


def test_what_clients_send_makes_no_series_of_its_own() -> None:
    chance = random.Random(6)
    engine = Sglang({
        CHATS: lambda _: answers.chat(chance.choice(ENDINGS)),
        COMPLETIONS: lambda _: (chance.choice([200, 400, 404, 500]), answers.completion(chance.choice(ENDINGS))),
        GENERATE: lambda _: answers.generated(chance.choice(ENDINGS)),
    })  # fmt: skip
    with counting(engine) as front:
        statuses = {ask(front, chance) for _ in range(REQUESTS)}
        assert {200, 400, 404} <= statuses
        seen = heads(front)
        for _ in range(REQUESTS // 4):
            ask(front, chance)
        known = engine_words(front)
    assert len(seen) < 900
    assert not [one for one in known if not one.replace(":", "").replace("/", "").replace("_", "").isalnum()], known


def engine_words(front: Served) -> set[str]:
    """The values of the labels that requests decide."""
    found = idle_page(front)
    labels = ("reason", "rule", "table", "status", "kind", "method", "finished_reason")
    values = {one.labels[label] for one in found.samples for label in labels if label in one.labels}
    names = {one.labels["model_name"] for one in found.samples if "model_name" in one.labels}
    assert names == {NAME}
    handlers = {one.labels["handler"] for one in found.samples if "handler" in one.labels}
    assert handlers <= {*PATHS, "none", "/v1/models", "/v1/responses/{id}"}
    finished = {one.labels["finished_reason"] for one in found.all("vllm:request_success_total")}
    assert finished == {"stop", "length", "abort", "error", "repetition"}
    return values


def test_a_method_that_http_does_not_have_is_not_counted() -> None:
    with counting(Sglang()) as front:
        for n in range(5):
            assert b" 400 " in front.raw(b"METHOD%d /v1/models HTTP/1.1\r\nhost: a\r\n\r\n" % n)
        assert not idle_page(front).all("http_requests_total")
