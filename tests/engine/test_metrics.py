"""The series of /metrics, moved by a load that is known: what each must be is counted here, from the answers alone."""

from __future__ import annotations

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.engine.conftest import NAME
from tests.server import Server

pytestmark = pytest.mark.engine
PATIENCE = 30.0
Sample = tuple[str, tuple[tuple[str, str], ...]]


class Page:
    """page["vllm:prompt_tokens_total"]; page("vllm:request_success_total", finished_reason="stop")"""

    def __init__(self, text: str) -> None:
        self.values: dict[Sample, float] = {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def __getitem__(self, name: str) -> float:
        return self(name, engine="0", model_name=NAME)

    def __call__(self, name: str, **labels: str) -> float:
        return sum(
            value for key, value in self.values.items() if key[0] == name and labels.items() <= dict(key[1]).items()
        )


def scraped(server: Server) -> Page:
    return Page(server.client.get("/metrics").text)


class Load:
    """Asks, and adds up what the answers say."""

    def __init__(self, server: Server) -> None:
        self._client = server.client
        self.prompts: list[int] = []  # tokens, of each choice
        self.made: list[int] = []  # tokens, of each choice
        self.streamed: list[int] = []
        self.ends: Counter[str] = Counter()
        self.asked: Counter[tuple[str, str]] = Counter()  # path, class of status

    def whole(self, path: str, **body: Any) -> None:
        answer = self._post(path, {"model": NAME, **body})
        self._add(answer["usage"], [choice["finish_reason"] for choice in answer["choices"]])

    def stream(self, path: str, **body: Any) -> None:
        events = []
        asked = {"model": NAME, "stream": True, "stream_options": {"include_usage": True}, **body}
        with self._client.stream("POST", path, json=asked) as answer:
            self.asked[path, "2xx"] += 1
            lines = [line.removeprefix("data: ") for line in answer.iter_lines() if line]
            events = [json.loads(line) for line in lines if line != "[DONE]"]
        ends = [choice["finish_reason"] for event in events for choice in event["choices"] if choice["finish_reason"]]
        self._add(events[-1]["usage"], ends)
        self.streamed.append(events[-1]["usage"]["completion_tokens"])

    def refused(self, path: str, status: int, **body: Any) -> None:
        assert self._client.post(path, json={"model": NAME, **body}).status_code == status
        self.asked[path, "4xx"] += 1

    def message(self, **body: Any) -> None:
        answer = self._post("/v1/messages", {"model": NAME, **body})
        usage = {
            "prompt_tokens": answer["usage"]["input_tokens"],
            "completion_tokens": answer["usage"]["output_tokens"],
        }
        self._add(usage, ["length" if answer["stop_reason"] == "max_tokens" else "stop"])

    def native(self, text: str, length: int) -> None:
        answer = self._post("/generate", {"text": text, "sampling_params": {"max_new_tokens": length}})
        tokens = self._client.post("/tokenize", json={"model": NAME, "prompt": text}).json()["count"]
        self._add(
            {"prompt_tokens": tokens, "completion_tokens": length}, [answer["meta_info"]["finish_reason"]["type"]]
        )

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        response = self._client.post(path, json=body)
        assert response.status_code == 200, response.text
        self.asked[path, "2xx"] += 1
        answer: dict[str, Any] = response.json()
        return answer

    def _add(self, usage: dict[str, Any], ends: list[str]) -> None:
        count = len(ends)
        assert usage["prompt_tokens"] % count == usage["completion_tokens"] % count == 0, (
            "the load is one of even choices"
        )
        self.prompts += [usage["prompt_tokens"] // count] * count
        self.made += [usage["completion_tokens"] // count] * count
        self.ends.update("stop" if end == "tool_calls" else end for end in ends)


HELLO = [{"role": "user", "content": "Say hello."}]
FRANCE = [{"role": "user", "content": "What is the capital of France?"}]


@pytest.fixture(scope="module")
def moved(sglang: Server) -> tuple[Load, Page, Page]:
    """The load, and the pages before and behind it."""
    load, before = Load(sglang), scraped(sglang)
    for length in (3, 5, 8):
        load.whole("/v1/chat/completions", messages=HELLO, max_tokens=length, temperature=0, ignore_eos=True)
    load.whole("/v1/chat/completions", messages=FRANCE, max_completion_tokens=60, temperature=0)
    load.stream("/v1/chat/completions", messages=HELLO, max_tokens=7, temperature=0, ignore_eos=True)
    load.stream("/v1/completions", prompt="Once upon a time", max_tokens=6, temperature=0, ignore_eos=True)
    load.whole("/v1/completions", prompt=[[504, 3575, 282], [504, 3575, 284]], max_tokens=4, ignore_eos=True)
    load.message(messages=HELLO, max_tokens=4)
    load.native("The capital of", 5)
    load.refused("/v1/chat/completions", 400, messages=HELLO, top_p=3)
    load.refused("/v1/chat/completions", 404, messages=HELLO, model="nobody")
    deadline = time.monotonic() + PATIENCE
    # SGLang answers first and counts then.
    while (after := scraped(sglang))["vllm:e2e_request_latency_seconds_count"] < len(load.made) + before[
        "vllm:e2e_request_latency_seconds_count"
    ]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return load, before, after


def test_tokens_are_those_of_the_answers(moved: tuple[Load, Page, Page]) -> None:
    load, before, after = moved
    for name, tokens in {
        "vllm:prompt_tokens_total": load.prompts,
        "vllm:generation_tokens_total": load.made,
        "vllm:request_prompt_tokens_sum": load.prompts,
        "vllm:request_generation_tokens_sum": load.made,
        "vllm:request_max_num_generation_tokens_sum": load.made,
        "vllm:prefix_cache_queries_total": load.prompts,
        "vllm:gpu_prefix_cache_queries_total": load.prompts,
        "vllm:prompt_tokens_by_source_total": load.prompts,
    }.items():
        assert after[name] - before[name] == sum(tokens), name
    hits = after["vllm:prefix_cache_hits_total"] - before["vllm:prefix_cache_hits_total"]
    assert 0 < hits < sum(load.prompts)
    assert after["vllm:prompt_tokens_cached_total"] - before["vllm:prompt_tokens_cached_total"] == hits
    computed = (
        after["vllm:request_prefill_kv_computed_tokens_sum"] - before["vllm:request_prefill_kv_computed_tokens_sum"]
    )
    assert computed == sum(load.prompts) - hits


@pytest.mark.parametrize("reason", ["stop", "length", "abort", "error", "repetition"])
def test_requests_are_counted_by_how_they_have_ended(moved: tuple[Load, Page, Page], reason: str) -> None:
    load, before, after = moved
    name = "vllm:request_success_total"
    counted = after(name, finished_reason=reason) - before(name, finished_reason=reason)
    assert counted == load.ends[reason]


@pytest.mark.parametrize(
    "name",
    [
        "time_to_first_token_seconds",
        "e2e_request_latency_seconds",
        "request_time_per_output_token_seconds",
        "request_queue_time_seconds",
        "request_prefill_time_seconds",
        "request_decode_time_seconds",
        "request_inference_time_seconds",
        "request_prompt_tokens",
        "request_generation_tokens",
        "request_max_num_generation_tokens",
        "request_prefill_kv_computed_tokens",
    ],
)
def test_every_histogram_has_as_many_observations_as_there_were_requests(
    moved: tuple[Load, Page, Page], name: str
) -> None:
    load, before, after = moved
    for part in ("count", "bucket"):
        labels = {} if part == "count" else {"le": "+Inf"}
        counted = after(f"vllm:{name}_{part}", **labels) - before(f"vllm:{name}_{part}", **labels)
        assert counted == len(load.made), part
    assert after[f"vllm:{name}_sum"] > before[f"vllm:{name}_sum"]


def test_the_tokens_of_streams_have_their_latency_one_by_one(moved: tuple[Load, Page, Page]) -> None:
    load, before, after = moved
    for name in ("vllm:inter_token_latency_seconds_count", "vllm:time_per_output_token_seconds_count"):
        assert after[name] - before[name] == sum(tokens - 1 for tokens in load.streamed)


def test_phases_add_up_to_the_whole(moved: tuple[Load, Page, Page]) -> None:
    _, before, after = moved

    def seconds(name: str) -> float:
        return after[f"vllm:{name}_seconds_sum"] - before[f"vllm:{name}_seconds_sum"]

    whole = seconds("e2e_request_latency")
    assert seconds("time_to_first_token") + seconds("request_decode_time") == pytest.approx(whole)
    assert seconds("request_queue_time") + seconds("request_inference_time") == pytest.approx(whole)
    assert 0 < seconds("request_prefill_time") < seconds("time_to_first_token")


def test_http_is_counted_by_route_and_class_of_status(moved: tuple[Load, Page, Page]) -> None:
    load, before, after = moved
    for (path, status), count in load.asked.items():
        labels = {"handler": path, "method": "POST", "status": status}
        assert after("http_requests_total", **labels) - before("http_requests_total", **labels) == count, path


def test_running_waiting_and_the_cache_move_under_load_and_come_to_rest(sglang: Server) -> None:
    body = {"model": NAME, "messages": HELLO, "max_tokens": 60, "ignore_eos": True, "stream": True}
    running, waiting, usage = 0.0, 0.0, 0.0

    def ask() -> int:
        with httpx.stream(
            "POST", f"{sglang.url}/v1/chat/completions", json=body, headers=sglang.client.headers, timeout=300
        ) as answer:
            return sum(1 for _ in answer.iter_lines())

    with ThreadPoolExecutor(12) as threads:
        asking = [threads.submit(ask) for _ in range(12)]
        while not all(one.done() for one in asking):
            page = scraped(sglang)
            running = max(running, page["vllm:num_requests_running"])
            waiting = max(waiting, page["vllm:num_requests_waiting"])
            usage = max(usage, page["vllm:kv_cache_usage_perc"])
            assert page["vllm:num_requests_running"] + page["vllm:num_requests_waiting"] <= 12
            assert page["vllm:num_requests_waiting"] == page("vllm:num_requests_waiting_by_reason", reason="capacity")
            assert page["vllm:gpu_cache_usage_perc"] == page["vllm:kv_cache_usage_perc"]
            time.sleep(0.1)
    assert 2 <= running <= 8  # --max-num-seqs; how many there is room for SGLang guesses
    assert waiting >= 4
    assert 0 < usage <= 1
    deadline = time.monotonic() + 2 * PATIENCE
    while (page := scraped(sglang))["vllm:num_requests_running"] or page["vllm:num_requests_waiting"]:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_the_cache_is_described_as_the_engine_has_it(sglang: Server) -> None:
    page = scraped(sglang)
    (labels,) = [dict(key[1]) for key in page.values if key[0] == "vllm:cache_config_info"]
    assert int(labels["num_gpu_blocks"]) * int(labels["block_size"]) == int(labels["kv_cache_size_tokens"]) == 4096
    assert labels["kv_cache_max_concurrency"] == "2.00"


def test_a_long_prefill_is_a_request_that_runs(sglang: Server) -> None:
    """SGLang's own gauge says 0 until the first tokens are decoded."""
    body = {"model": NAME, "prompt": [504, 3575, 282] * 600, "max_tokens": 2, "ignore_eos": True}
    with ThreadPoolExecutor(1) as threads:
        asking = threads.submit(sglang.client.post, "/v1/completions", json=body)
        while scraped(sglang)["vllm:num_requests_running"] != 1:
            assert not asking.done(), "it was never seen to run"
        seen = []
        while not asking.done():
            seen.append(scraped(sglang)["vllm:num_requests_running"])
            time.sleep(0.05)
        assert asking.result().status_code == 200
    # The last may have come behind it.
    assert seen[:-1], "it was too short"
    assert set(seen[:-1]) == {1.0}, seen
    assert scraped(sglang)["vllm:num_requests_running"] == 0
