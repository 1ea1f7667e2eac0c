"""An SGLang whose tokenizer makes an id of each character, and a model's folder for the middleware in front of it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from middleware.policy import Policy
from tests.middleware.endpoints.sglang import NAME, Sglang, behind
from tests.middleware.serving import Served

CONTEXT = 2048  # as `Sglang` lists it
BEGIN, END = 1, 2  # the special tokens
TEMPLATE = (
    "{% for m in messages %}{{ m.role }}:{{ m.content }}\n{% endfor %}"
    "{% if tools %}{{ tools | tojson }}{% endif %}{{ mood }}{% if add_generation_prompt %}>{% endif %}"
)
CHAT, COMPLETIONS, TOKENIZE = "/v1/chat/completions", "/v1/completions", "/tokenize"
TOOL = {"type": "function", "function": {"parameters": {"type": "object"}, "name": "f"}}
# As vLLM shows it to the template.
SHOWN_TOOL = '[{"type": "function", "function": {"name": "f", "description": null, "parameters": {"type": "object"}}}]'
USAGE = {"prompt_tokens": 3, "total_tokens": 4, "completion_tokens": 1, "prompt_tokens_details": None}


def ids(text: str) -> list[int]:
    return [ord(character) for character in text]


def text_of(tokens: list[int]) -> str:
    return "".join(map(chr, tokens))


def tokenized(body: Mapping[str, Any]) -> dict[str, Any]:
    texts = body["prompt"] if isinstance(body["prompt"], list) else [body["prompt"]]
    special = body["add_special_tokens"]
    rows = [[BEGIN, *ids(text), END] if special else ids(text) for text in texts]
    return {"tokens": rows if isinstance(body["prompt"], list) else rows[0]}


def chatted(body: Mapping[str, Any]) -> Any:
    message = {"role": "assistant", "content": "a", "reasoning_content": None, "tool_calls": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop", "matched_stop": 2}
    if not body.get("stream"):
        return {**_head("chat.completion"), "choices": [choice], "usage": USAGE}
    events = (
        {**_head("chat.completion.chunk"), "choices": [_delta({"role": "assistant", "content": ""}, None)]},
        {**_head("chat.completion.chunk"), "choices": [_delta({"content": "a"}, None)]},
        {**_head("chat.completion.chunk"), "choices": [_delta({}, "stop")]},
    )
    content = b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events) + b"data: [DONE]\n\n"
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    return head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content)


def completed(body: Mapping[str, Any]) -> dict[str, Any]:
    choice = {"index": 0, "text": "a", "logprobs": None, "finish_reason": "stop", "matched_stop": 2}
    return {**_head("text_completion"), "choices": [choice], "usage": USAGE}


def _head(kind: str) -> dict[str, Any]:
    return {"id": "x", "object": kind, "created": 1, "model": NAME}


def _delta(delta: dict[str, Any], reason: str | None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason, "matched_stop": None}


@dataclass
class Asked:
    """The middleware over the engine, and what the engine was asked."""

    front: Served
    engine: Sglang

    def chat(self, *messages: dict[str, Any], **fields: Any) -> httpx.Response:
        body = {"messages": list(messages) or [{"role": "user", "content": "hi"}], **fields}
        return self.front.post(CHAT, json=body)

    def complete(self, prompt: Any, **fields: Any) -> httpx.Response:
        return self.front.post(COMPLETIONS, json={"prompt": prompt, **fields})

    def sent(self, path: str = CHAT) -> dict[str, Any]:
        """The last body that SGLang was sent there, which must have been taken."""
        bodies = self.engine.of(path)
        assert bodies, self.engine.asked
        body: dict[str, Any] = bodies[-1]
        return body

    def shown(self) -> str:
        """The text of the ids that were sent for the last chat."""
        return text_of(self.sent()["input_ids"])


def sglang(**answers: Any) -> Sglang:
    return Sglang({TOKENIZE: tokenized, CHAT: chatted, COMPLETIONS: completed, **answers})


def model_folder(folder: Path, template: str = TEMPLATE) -> Path:
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "</s>"}))
    (folder / "chat_template.jinja").write_text(template)
    return folder


@contextlib.contextmanager
def asking(folder: Path, engine: Sglang | None = None, **policy: Any) -> Iterator[Asked]:
    engine = engine or sglang()
    with behind(engine, policy=Policy(model_path=str(folder), **policy)) as front:
        yield Asked(front, engine)
