"""What a real SGLang 0.5.23 answered, cut to the length that a request asks for.
Used by the stand-in; the recordings lie beside this file.
"""

from __future__ import annotations

import itertools
import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

RECORDINGS = Path(__file__).parent / "recordings"
RECORDED_MODEL = "smollm2-135m"
DONE = b"data: [DONE]\n\n"


def recording(name: str) -> dict[str, Any]:
    """The recorded response: status, headers, body."""
    response: dict[str, Any] = json.loads((RECORDINGS / f"{name}.json").read_text())["response"]
    return response


def _events(name: str) -> list[dict[str, Any]]:
    lines = recording(name)["body"].splitlines()
    return [json.loads(line[6:]) for line in lines if line.startswith("data: {")]


def _line(event: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(event, separators=(",", ":")).encode() + b"\n\n"


class Recorded:
    """Bodies and events of chat, completions and generate, for any model name and number of tokens."""

    def __init__(self, model: str) -> None:
        self.model = model
        self._bodies = {name: json.loads(recording(name)["body"]) for name in ("chat", "completions", "generate")}
        self._streams = {name: _events(f"{name}_stream") for name in ("chat", "completions", "generate")}
        self._usage = _events("chat_stream_usage")[-1]
        self._metrics = (RECORDINGS / "metrics.txt").read_text()

    def models(self) -> bytes:
        return recording("models")["body"].replace(RECORDED_MODEL, self.model).encode()  # type: ignore[no-any-return]

    def metrics(self, running: int, tokens: int) -> bytes:
        text = self._metrics.replace(f'model_name="{RECORDED_MODEL}"', f'model_name="{self.model}"')
        lines = (
            f"{line.rpartition(' ')[0]} {float(running)}" if line.startswith("sglang:num_running_reqs{") else line
            for line in text.splitlines()
        )
        name = "sglang:realtime_tokens_total"
        counted = f'{name}{{mode="decode",model_name="{self.model}"}} {float(tokens)}'
        counter = (f"# HELP {name} Total number of tokens processed.", f"# TYPE {name} counter", counted)
        return ("\n".join([*lines, *counter]) + "\n").encode()

    def whole(self, kind: str, request: dict[str, Any], tokens: int) -> bytes:
        """A complete answer that claims so many tokens."""
        body = json.loads(json.dumps(self._bodies[kind]))
        if kind == "generate":
            body["meta_info"] |= {"id": _rid(request), "completion_tokens": tokens}
        else:
            body |= {"id": _rid(request), "created": int(time.time()), "model": self._echoed(request)}
            prompt = body["usage"]["prompt_tokens"]
            body["usage"] |= {"completion_tokens": tokens, "total_tokens": prompt + tokens}
        return json.dumps(body, separators=(",", ":")).encode()

    def stream(self, kind: str, request: dict[str, Any], tokens: int) -> Iterator[tuple[bytes, bool]]:
        """The events of a stream, and whether each is one of the `tokens` that take time."""
        recorded = self._streams[kind]
        identity = {"id": _rid(request), "created": int(time.time()), "model": self._echoed(request)}
        if kind == "generate":
            lines = [_line(event) for event in recorded[:-1]]
            yield from ((line, True) for line in itertools.islice(itertools.cycle(lines), max(tokens - 1, 0)))
            yield _line(recorded[-1]), True
        else:
            lines = [_line({**event, **identity}) for event in recorded]
            # Chat has an event of its own for the role and one for the end; completions end with their last token.
            first, last = (1, False) if kind == "chat" else (0, True)
            yield from ((line, False) for line in lines[:first])
            yield from (
                (line, True) for line in itertools.islice(itertools.cycle(lines[first:-1]), max(tokens - last, 0))
            )
            yield lines[-1], last
            if (request.get("stream_options") or {}).get("include_usage"):
                prompt = self._usage["usage"]["prompt_tokens"]
                counts = {"completion_tokens": tokens, "total_tokens": prompt + tokens}
                yield _line({**self._usage, **identity, "usage": self._usage["usage"] | counts}), False
        yield DONE, False

    def _echoed(self, request: dict[str, Any]) -> str:
        """SGLang does not check the name: it echoes whatever was asked for."""
        return str(request.get("model", "default"))


def _rid(request: dict[str, Any]) -> str:
    return str(request.get("rid") or uuid.uuid4().hex)
