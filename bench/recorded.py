"""SGLang 0.5.23's own bytes, as the tests recorded them, for any request id and model: same keys, order and blanks.
Used by `bench.standin`, which must not emit anything that SGLang would not.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RECORDINGS = Path(__file__).resolve().parent.parent / "tests/fakes/recordings"
RECORDED_MODEL = b'"smollm2-135m"'
SENTENCE = "The capital of France is Paris."
ANSWER_BYTES = 1024
ROLLOUT_TOKENS = 256
DATA = b'data: {"id":"'
# What the recordings of the tests leave out, as SGLang 0.5.23 answered it.
MODEL_INFO: dict[str, Any] = {
    "model_path": "",
    "served_model_name": "",
    "tokenizer_path": "",
    "is_generation": True,
    "preferred_sampling_params": None,
    "weight_version": "default",
    "load_format": "auto",
    "reasoning_parser": None,
    "tool_call_parser": None,
    "disaggregation_mode": "null",
    "has_image_understanding": False,
    "has_audio_understanding": False,
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
}


def recorded(name: str) -> bytes:
    """The body of a recorded answer."""
    text: str = json.loads((RECORDINGS / f"{name}.json").read_text())["response"]["body"]
    return text.encode()


def framed(data: bytes) -> bytes:
    """One chunk of HTTP's chunked encoding; SGLang's server writes one for each event."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def rollout(answer: bytes, tokens: int) -> bytes:
    """SGLang's answer to token ids, as long as this many tokens would make it."""
    told = json.loads(answer)
    info = told["meta_info"]
    times = -(-tokens // len(told["output_ids"]))
    told["text"] *= times
    told["output_ids"] = (told["output_ids"] * times)[:tokens]
    for name in ("output_token_logprobs", "output_top_logprobs"):
        info[name] = (info[name] * times)[:tokens]
    info["completion_tokens"] = info["output_token_logprobs_length"] = tokens
    info["finish_reason"] = {"type": "length", "length": tokens}
    info["weight_versions"][0]["end"] = tokens
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


class Recorded:
    """recorded = Recorded("model")
    recorded.answer(rid)        # the body of a whole chat, 1 KB
    recorded.stream(rid)        # the framed events of a streamed one: role, tokens, end, usage, [DONE]
    """

    def __init__(self, model: str, model_path: str = "") -> None:
        self.model = json.dumps(model).encode()
        chat = recorded("chat")
        lengthened = " ".join([SENTENCE] * ((ANSWER_BYTES - len(chat)) // (len(SENTENCE) + 1) + 1))
        self._answers = {
            "chat": self._around(chat.replace(SENTENCE.encode(), lengthened.encode())),
            "completions": self._around(recorded("completions")),
            "rollout": self._around(rollout(recorded("generate_logprobs"), ROLLOUT_TOKENS)),
        }
        events = [event for event in recorded("chat_stream_usage").split(b"\n\n") if event.startswith(DATA)]
        self._role, *self._tokens, self._end, self._usage = [self._tail(event) + b"\n\n" for event in events]
        info = {"model_path": model_path or model, "served_model_name": model, "tokenizer_path": model_path or model}
        self.model_info = json.dumps(MODEL_INFO | info).encode()
        # As long as a context as large as the requests here needs.
        self.models = self._named(recorded("models")).replace(b'"max_model_len":8192', b'"max_model_len":1048576')

    def answer(self, kind: str, rid: bytes) -> bytes:
        head, tail = self._answers[kind]
        return head + rid + tail

    def stream(self, rid: bytes) -> Stream:
        head = DATA + rid
        return Stream(
            role=framed(head + self._role),
            tokens=tuple(framed(head + token) for token in self._tokens),
            end=framed(head + self._end),
            usage=framed(head + self._usage),
        )

    def _named(self, answer: bytes) -> bytes:
        return answer.replace(RECORDED_MODEL, self.model)

    def _around(self, answer: bytes) -> tuple[bytes, bytes]:
        """What stands before the id's characters, and what behind."""
        return answer[: answer.index(b'"id":"') + len(b'"id":"')], self._tail(answer)

    def _tail(self, answer: bytes) -> bytes:
        """All that stands behind the id's characters."""
        start = answer.index(b'"id":"') + len(b'"id":"')
        return self._named(answer[answer.index(b'"', start) :])


class Stream:
    """The events of one stream, made once, so that a token costs the stand-in no more than its write."""

    __slots__ = ("end", "role", "tokens", "usage")

    def __init__(self, role: bytes, tokens: tuple[bytes, ...], end: bytes, usage: bytes) -> None:
        self.role = role
        self.tokens = tokens
        self.end = end
        self.usage = usage
