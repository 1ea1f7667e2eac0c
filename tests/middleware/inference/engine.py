"""An SGLang that generates what a real one was recorded to (`sglang.json`): so many tokens as it is asked for."""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from middleware.policy import Policy
from tests.middleware.endpoints.sglang import Sglang, behind
from tests.middleware.serving import Served

HERE = Path(__file__).parent
PATH = "/inference/v1/generate"
PROMPT = [504, 3575, 282, 4649, 314]
TEXTS = (" Paris", ".", "\n", "\n", "The")
IDS = [7042, 30, 198, 198, 504]
SPELLED = {504: "The", 3575: " capital", 282: " of", 4649: " France", 314: " is", 29: "-", 260: " the"}
RECORDED: dict[str, Any] = json.loads((HERE / "sglang.json").read_text())
SCORES = ("input_token_logprobs", "input_top_logprobs", "output_token_logprobs", "output_top_logprobs")


def spelled(triple: Any) -> Any:
    return [*triple[:2], SPELLED.get(triple[1], "?")]


def answer(body: dict[str, Any], made: int | None = None) -> dict[str, Any]:
    """After so many tokens; None: all of them."""
    wanted = min(body["sampling_params"]["max_new_tokens"], len(IDS))
    made = wanted if made is None else made
    told = copy.deepcopy(RECORDED)
    info = told["meta_info"]
    told |= {"text": "".join(TEXTS[:made]), "output_ids": IDS[:made]}
    info |= {"prompt_tokens": len(body["input_ids"]), "completion_tokens": made, "cached_tokens": 4}
    info["finish_reason"] = {"type": "length", "length": wanted} if made == wanted else None
    info["weight_versions"] = [{"version": "v3", "start": 0, "end": made}] if made == wanted else None
    for name in SCORES:
        rows = info.pop(name)
        if not body.get("return_logprob") or (name.startswith("input") and body.get("logprob_start_len") != 0):
            continue
        if "top" in name:
            rows = [row and [spelled(triple) for triple in row[: body["top_logprobs_num"]]] for row in rows]
        else:
            rows = [spelled(triple) for triple in rows]
        info[name] = rows if name.startswith("input") else rows[:made]
    return told


def generated(body: dict[str, Any]) -> Any:
    if not body.get("stream"):
        return answer(body)
    wanted = min(body["sampling_params"]["max_new_tokens"], len(IDS))
    return streamed(*(answer(body, made) for made in range(1, wanted + 1)))


def streamed(*events: Any) -> bytes:
    content = b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events) + b"data: [DONE]\n\n"
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    return head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content)


def chunks(text: str) -> list[Any]:
    assert text.endswith("data: [DONE]\n\n")
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]


@contextlib.contextmanager
def serving(engine: Sglang | None = None, **policy: Any) -> Iterator[tuple[Served, Sglang]]:
    engine = engine or Sglang({"/generate": generated, "/abort_request": (200, b"")})
    with behind(engine, policy=Policy(**{"scale_out": True, "vocab_size": 49152, **policy})) as front:
        yield front, engine
