"""The token ids of every route are the engine's own, whatever was asked beside them: asked of SGLang directly, of the
same ids and at temperature 0. The tokens are driven by a bias to what no tokenizer would make of their text.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

import pytest

from tests.engine.conftest import NAME
from tests.server import Server

pytestmark = pytest.mark.engine

COMPLETIONS, CHAT, TOKENS = "/v1/completions", "/v1/chat/completions", "/v1/chat/completions/tokens"
# A beginning, rare words, halves of characters, a marker of a file, the last of the vocabulary.
RARE = [1, 4093, 198, 49000, 30000, 219, 101, 12, 219, 219, 49151, 0, 198]
ASK = [{"role": "user", "content": "Say a."}]
NOTHING = {"type": "object", "properties": {}, "additionalProperties": False}
TOOL = {"type": "function", "function": {"name": "f", "strict": True, "parameters": NOTHING}}
LETTER = "a"
LENGTH = 6
# By name: what is asked, and what /generate calls it.
OPTIONS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nothing": ({}, {}),
    "stop_string": ({"stop": ["aaaa"]}, {"stop": ["aaaa"]}),
    "stop_kept": ({"stop": ["aaaa"], "include_stop_str_in_output": True}, {"stop": ["aaaa"], "no_stop_trim": True}),
    "no_end": (
        {"min_tokens": 4, "ignore_eos": True, "skip_special_tokens": False},
        {"min_new_tokens": 4, "ignore_eos": True, "skip_special_tokens": False},
    ),
}
PLACES = [(route, stream) for route in (COMPLETIONS, CHAT, TOKENS) for stream in (False, True)]


def letter(sglang: Server) -> int:
    [token] = sglang.client.post("/tokenize", json={"prompt": LETTER, "add_special_tokens": False}).json()["tokens"]
    return int(token)


def own(sglang: Server, prompt: list[int], **params: Any) -> list[int]:
    """What SGLang's own route says of the same."""
    sampling = {"temperature": 0, "max_new_tokens": LENGTH, **params}
    body = {"input_ids": prompt, "sampling_params": sampling}
    answer = sglang.client.post(f"http://127.0.0.1:{sglang.port + 1}/generate", json=body)
    assert answer.status_code == 200, answer.text
    found: list[int] = answer.json()["output_ids"]
    return found


class Told:
    """An answer's ids by choice, a stream's put together."""

    def __init__(self, sglang: Server, route: str, stream: bool, **fields: Any) -> None:
        body = {"model": NAME, "temperature": 0, "max_tokens": LENGTH, "return_token_ids": True, **fields}
        body |= {"stream": stream} | ({"logprobs": 0} if route == COMPLETIONS else {"logprobs": True})
        body |= {"prompt": RARE} if route == COMPLETIONS else {"messages": ASK}
        if route == TOKENS:
            body["tokens"] = RARE
        answer = sglang.client.post(route, json=body)
        assert answer.status_code == 200, answer.text
        lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: {")]
        pieces = [json.loads(line) for line in lines] if stream else [answer.json()]
        self.prompt: list[int] = []
        self.ids: dict[int, list[int]] = defaultdict(list)
        self.names: dict[int, list[str]] = defaultdict(list)
        self.text: dict[int, str] = defaultdict(str)
        self.ends: dict[int, str] = {}
        self.calls = 0
        for piece in pieces:
            for choice in piece["choices"]:
                index, said = choice["index"], choice.get("message") or choice.get("delta") or choice
                self.prompt = self.prompt or choice.get("prompt_token_ids") or piece.get("prompt_token_ids") or []
                self.ids[index] += choice.get("token_ids") or []
                self.names[index] += named(choice["logprobs"])
                self.text[index] += said.get("content") or said.get("text") or ""
                self.ends[index] = choice["finish_reason"] or self.ends.get(index, "")
                self.calls += len(said.get("tool_calls") or ())


def named(logprobs: Any) -> list[str]:
    if logprobs is None:
        return []
    return [one["token"] for one in logprobs["content"]] if "content" in logprobs else logprobs["tokens"]


@pytest.mark.parametrize(("route", "stream"), PLACES)
@pytest.mark.parametrize("option", OPTIONS)
def test_ids_are_the_engines_own(sglang: Server, route: str, stream: bool, option: str) -> None:
    asked, params = OPTIONS[option]
    bias = {str(letter(sglang)): 100.0}
    told = Told(sglang, route, stream, logit_bias=bias, **asked)
    assert (told.prompt == RARE) is (route != CHAT)
    assert told.ids[0] == own(sglang, told.prompt, logit_bias=bias, **params)
    assert len(told.names[0]) == len(told.ids[0])


@pytest.mark.parametrize(("route", "stream"), PLACES)
def test_to_tokenize_the_text_again_would_be_wrong(sglang: Server, route: str, stream: bool) -> None:
    one = letter(sglang)
    told = Told(sglang, route, stream, logit_bias={str(one): 100.0}, min_tokens=LENGTH)
    assert told.text[0] == LETTER * LENGTH
    assert told.ids[0] == [one] * LENGTH
    again = sglang.client.post("/tokenize", json={"prompt": told.text[0], "add_special_tokens": False}).json()["tokens"]
    assert again != told.ids[0]


@pytest.mark.parametrize(("route", "stream"), PLACES)
def test_a_token_that_stops_is_among_the_ids(sglang: Server, route: str, stream: bool) -> None:
    one = letter(sglang)
    told = Told(sglang, route, stream, logit_bias={str(one): 100.0}, stop_token_ids=[one])
    assert told.ids[0] == own(sglang, told.prompt, logit_bias={str(one): 100.0}, stop_token_ids=[one]) == [one]
    assert (told.ends[0], told.text[0]) == ("stop", "")


@pytest.mark.parametrize(("route", "stream"), PLACES)
def test_each_of_several_choices_has_its_own(sglang: Server, route: str, stream: bool) -> None:
    bias = {str(letter(sglang)): 100.0}
    told = Told(sglang, route, stream, n=3, temperature=1.0, logit_bias=bias)
    expected = own(sglang, told.prompt, logit_bias=bias)
    assert {index: ids for index, ids in told.ids.items() if ids} == dict.fromkeys(range(3), expected)


@pytest.mark.parametrize(("route", "stream"), PLACES)
def test_the_tokens_of_probabilities_are_told_by_their_ids(sglang: Server, route: str, stream: bool) -> None:
    told = Told(sglang, route, stream, return_tokens_as_token_ids=True)
    assert told.ids[0] == own(sglang, told.prompt)
    assert told.names[0] == [f"token_id:{token}" for token in told.ids[0]]


@pytest.mark.parametrize(("route", "stream"), PLACES[2:])
@pytest.mark.parametrize("choice", ["auto", "required"])
def test_ids_are_all_that_was_sampled_where_calls_are_parsed(
    sglang: Server, route: str, stream: bool, choice: str
) -> None:
    told = Told(sglang, route, stream, tools=[TOOL], tool_choice=choice, max_tokens=24)
    assert len(told.names[0]) in (len(told.ids[0]), 0)  # what a parser keeps back has none in a stream
    text = sglang.client.post("/detokenize", json={"tokens": told.ids[0]}).json()["prompt"]
    if choice == "required":
        assert told.calls or told.ends[0] == "length"
        assert '"name"' in text
    else:
        assert told.ids[0] == own(sglang, told.prompt, max_new_tokens=24)


def test_a_prompt_in_ids_is_the_whole_prompt(sglang: Server) -> None:
    """Whatever the messages beside it are."""
    body = {"model": NAME, "temperature": 0, "max_tokens": 4, "tokens": RARE, "return_token_ids": True}
    seen = set()
    for words in ("Say a.", "Say b. " * 50):
        answer = sglang.client.post(TOKENS, json={**body, "messages": [{"role": "user", "content": words}]}).json()
        assert answer["prompt_token_ids"] == RARE
        assert answer["usage"]["prompt_tokens"] == len(RARE)
        seen.add(tuple(answer["choices"][0]["token_ids"]))
    assert seen == {tuple(own(sglang, RARE, max_new_tokens=4))}


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        ([1, 49152], "Token id 49152 is out of vocabulary"),
        ([1] * 2049, "This model's maximum context length is 2048 tokens."),
        ([1] * 2048, "max_tokens must be at least 1, got 0."),
        ([1] * 2042, "This model's maximum context length is 2041 tokens."),
        ([], "tokens must not be empty."),
    ],
)
def test_a_prompt_that_cannot_be_is_refused(sglang: Server, tokens: list[int], words: str) -> None:
    answer = sglang.client.post(TOKENS, json={"model": NAME, "messages": ASK, "tokens": tokens})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith(words)


def test_the_probabilities_of_a_prompt_are_the_engines_own(sglang: Server) -> None:
    body = {"model": NAME, "prompt": [RARE, RARE[:5]], "max_tokens": 1, "temperature": 0, "prompt_logprobs": 3}
    answer = sglang.client.post(COMPLETIONS, json={**body, "logprobs": 1})
    assert answer.status_code == 200, answer.text
    for prompt, choice in zip((RARE, RARE[:5]), answer.json()["choices"], strict=True):
        first, *places = choice["prompt_logprobs"]
        assert first is None
        asked = {"input_ids": prompt, "sampling_params": {"max_new_tokens": 1}, "return_logprob": True}
        asked |= {"logprob_start_len": 0, "top_logprobs_num": 3}
        info = sglang.client.post(f"http://127.0.0.1:{sglang.port + 1}/generate", json=asked).json()["meta_info"]
        for place, own_one, row in zip(
            places, info["input_token_logprobs"][1:], info["input_top_logprobs"][1:], strict=True
        ):
            assert next(iter(place)) == str(own_one[1])
            assert place[str(own_one[1])]["logprob"] == pytest.approx(own_one[0], abs=0.001)
            assert [str(token) for _, token, _ in row] == sorted(
                (token for token in place if place[token]["rank"] <= 3), key=lambda token: place[token]["rank"]
            )
        assert len(choice["logprobs"]["tokens"]) == 1
