"""Real engines that take turns on one machine, and the sleep of one: on a CPU nothing is freed, and that is seen."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from middleware.device_memory import DeviceMemory
from middleware.policy import Policy
from switcher.spec import Tier
from tests.engine.conftest import LAUNCH, MODEL
from tests.middleware.mux.several import Several, member, several
from tests.middleware.serving import middleware, process, wait_for
from tests.server import free_port

pytestmark = pytest.mark.engine
PATIENCE = 300.0
SMALL = "--host 127.0.0.1 --max-total-tokens 4096 --context-length 2048 --max-running-requests 8"
ENGINE = f"{LAUNCH} --model-path {MODEL} {SMALL}"
ASKED = {"messages": [{"role": "user", "content": "What is the capital of France?"}], "max_tokens": 8, "temperature": 0}


def test_two_real_engines_that_free_nothing_are_stopped_in_the_place_of_their_sleep_and_all_are_answered() -> None:
    pair = (member("a", tier=Tier.CPU, max_wait_seconds=5.0), member("b", tier=Tier.CPU, max_wait_seconds=5.0))
    with several(*pair, engine=ENGINE, policy={"sleep_mode": True, "weights_backup": True}) as front:
        (front.device / "used").write_text(str(10**9))  # a driver that sees no change
        all_are_answered(front, "ab", slots=1)
        slept = next(one for one in front.get("/running").json()["models"] if one["state"] != "awake")
        assert slept["state"] == "stopped"
        assert "torch_memory_saver" in slept["no_release"]


@pytest.mark.soak
def test_three_real_engines_take_turns_in_two_places_and_all_are_answered() -> None:
    with several(*(member(name, max_wait_seconds=5.0) for name in "abc"), engine=ENGINE, slots=2) as front:
        all_are_answered(front, "abc", slots=2)


def all_are_answered(front: Several, names: str, slots: int) -> None:
    """Streams and plain requests for each of them, all at once; never more awake than there are places."""

    def ask(number: int) -> tuple[int, str]:
        body = ASKED | {"model": names[number % len(names)], "stream": number % 4 > 1}
        with httpx.Client(base_url=front.url, timeout=PATIENCE, trust_env=False) as client:
            try:
                answer = client.post("/v1/chat/completions", json=body)
            except httpx.TimeoutException:
                return 0, "no answer"
            return answer.status_code, answer.text

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(8)))
    assert [status for status, _ in answers] == [200] * 8, (answers, *(front.log(name)[-3000:] for name in names))
    for number, (_, text) in enumerate(answers):
        if number % 4 > 1:
            assert text.endswith("data: [DONE]\n\n")
        else:
            assert "Paris" in json.loads(text)["choices"][0]["message"]["content"]
    changes = {(one["at"], one["model"]): one["to"] for one in front.get("/running").json()["timeline"]}
    awake: set[str] = set()
    for (_, name), state in sorted(changes.items()):
        awake = awake | {name} if state in ("starting", "awake", "draining", "sleeping") else awake - {name}
        assert len(awake) <= slots
    assert [bool(front.pid(name)) for name in names].count(True) == slots


def test_a_real_engine_survives_a_sleep_that_frees_nothing(tmp_path: Path) -> None:
    """Still, idle, released, resumed, and it goes on; what it frees is seen to be nothing."""
    node = tmp_path / "renderD128/device"
    node.mkdir(parents=True)
    (node / "mem_info_vram_used").write_text(str(10**9))
    memory = DeviceMemory(drm=tmp_path, nodes=tmp_path)
    port = free_port()
    policy = Policy(dev_mode=True, sleep_mode=True, weights_backup=True)
    with (
        process(*ENGINE.split(), "--port", str(port), "--served-model-name", "m"),
        middleware(port, wait_ready=False, memory=memory, policy=policy, served_model_names=("m",)) as front,
    ):
        front.client.timeout = httpx.Timeout(PATIENCE)
        wait_for(lambda: front.get("/health").status_code == 200, "it is ready", PATIENCE)
        before = front.post("/v1/chat/completions", json=ASKED).json()["choices"][0]["message"]["content"]
        answer = front.post("/sleep")
        assert answer.status_code == 501, answer.text
        assert "torch_memory_saver" in answer.json()["error"]["message"]
        after = front.post("/v1/chat/completions", json=ASKED).json()["choices"][0]["message"]["content"]
        assert after == before
        assert front.post("/sleep?level=0").json() == {"status": "sleeping", "level": 0}
        assert front.post("/v1/chat/completions", json=ASKED).status_code == 503
        assert front.post("/wake_up").json()["status"] == "awake"
        assert front.post("/v1/chat/completions", json=ASKED).status_code == 200
