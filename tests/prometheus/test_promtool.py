"""Prometheus' own linter reads what we serve, in every state of the engine. It finds fault with names that are vLLM's
and SGLang's; anything else is ours.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.prometheus.scraper import program
from tests.server import ROOT, serving, wait_for

LINT = 3  # promtool's exit code where it could read all of it and objects to something
LOADS_SECONDS = "4"
CHAT = {"model": "stand-in", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 8}
# vLLM 0.33.0's own text draws the first two of them and nothing else.
ACCEPTED = {
    r"(vllm|sglang|vllm_shim):\S+ metric names should not contain ':'": "both spell their names so, and we ours",
    r"vllm:iteration_tokens_total non-counter metrics should not have \"_total\" suffix": "vLLM's histogram of steps",
    r"sglang:\S+_gb metric names should not contain abbreviated units": "SGLang's name",
    r"sglang:\S+_histogram metric name should not include type 'histogram'": "SGLang's name",
    r"sglang:routing_key_\w+_req_count non-histogram .*": "SGLang's gauge with bounds in a label `le`",
}


def complaints(text: str) -> list[str]:
    """What promtool says of it, but for what is accepted."""
    words = [program("promtool"), "check", "metrics"]
    done = subprocess.run(words, input=text, capture_output=True, text=True, check=False)
    assert done.returncode in (0, LINT), done.stderr
    lines = done.stdout.splitlines() + done.stderr.splitlines()
    return [line for line in lines if not any(re.fullmatch(pattern, line) for pattern in ACCEPTED)]


def twice(text: str) -> list[str]:
    """Series that stand there more than once, which promtool does not see."""
    series = Counter(line.rpartition(" ")[0] for line in text.splitlines() if line and not line.startswith("#"))
    return [name for name, count in series.items() if count > 1]


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """By the state in which the stack said it."""
    env = {"STANDIN_LOAD_SECONDS": LOADS_SECONDS, "VLLM_SHIM_ENGINE_RESTART": "in-place"}
    with serving(tmp_path_factory.mktemp("promtool"), "stand-in", env=env) as server:

        def said() -> str:
            return server.client.get("/metrics").raise_for_status().text

        wait_for(lambda: server.health() == 503, "loading")
        wait_for(said, "the middleware to say something")
        found = {"loading": said()}
        assert server.health() == 503
        server.wait_ready()
        for stream in (False, True):
            server.client.post("/v1/chat/completions", json={**CHAT, "stream": stream}).raise_for_status()
        found["ready"] = said()
        os.kill(server.pid("sglang"), signal.SIGKILL)
        wait_for(lambda: server.health() == 503, "the death to be seen")
        found["gone"] = said()
        assert server.health() == 503
        yield found


@pytest.mark.stack
@pytest.mark.parametrize("state", ["loading", "ready", "gone"])
def test_promtool_objects_to_nothing_but_names_that_are_not_ours(state: str, texts: dict[str, str]) -> None:
    assert "\nvllm:" in texts[state]
    assert complaints(texts[state]) == []
    assert twice(texts[state]) == [], "Prometheus takes one of them and throws the other away"


def test_promtool_would_object() -> None:
    """A check of the check: a counter without its ending, a label without its end, a series twice."""
    head = "# HELP ours things\n# TYPE ours counter\n"
    assert complaints(head + "ours 1\n") == ['ours counter metrics should have "_total" suffix']
    with pytest.raises(AssertionError, match="error while linting"):
        complaints(head + 'ours{model_name="a 1\n')
    assert twice('a{b="1"} 1\n# HELP a\na 2\na{b="1"} 2\n') == ['a{b="1"}']


RECORDINGS = (ROOT / "tests/fakes/recordings/metrics_whole.txt", ROOT / "tests/fixtures/vllm_metrics.txt")


@pytest.mark.parametrize("recorded", RECORDINGS, ids=lambda path: path.stem)
def test_what_is_accepted_is_what_the_two_engines_themselves_draw(recorded: Path) -> None:
    assert complaints(recorded.read_text()) == []
