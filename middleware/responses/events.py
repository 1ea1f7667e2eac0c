"""A chat's stream as the events of a response: what is open, and what must be closed before the next can be.
Made by `responses.answer`; vLLM's state machine is `SimpleStreamingEventProcessor`.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from middleware.dialect.events import DATA, DONE, END, Events, decode, encode
from middleware.responses import output
from middleware.responses.asking import Asked
from middleware.responses.opened import Open
from middleware.responses.output import COMPLETED, IN_PROGRESS, INCOMPLETE, Json
from middleware.responses.whole import response, usage

FAILED = "failed"


class ResponseEvents(Events):
    """Nothing is told before the first chunk: what SGLang refuses until then is an answer of its own."""

    __slots__ = (
        "_asked",
        "_counted",
        "_created",
        "_items",
        "_model",
        "_number",
        "_open",
        "_over",
        "_reason",
        "refusal",
    )

    def __init__(self, asked: Asked) -> None:
        super().__init__()
        self._asked = asked
        self._model: str | None = None
        self._created = int(time.time())
        self._number = 0
        self._open: Open | None = None
        self._items: list[Json] = []
        self._reason: Any = None
        self._counted: Mapping[str, Any] | None = None
        self._over = False
        # Why there is no stream at all.
        self.refusal: Json | None = None

    def edited(self, event: bytes) -> bytes:
        if self._over or not event.startswith(DATA):
            return event + END if self._number and event.startswith(b":") else b""
        if event == DONE:
            return self._end()
        chunk = decode(event[len(DATA) :])
        if "error" in chunk:
            return self._failed(chunk)
        told = [] if self._number else self._begin(chunk)
        if chunk.get("usage"):
            self._counted = chunk["usage"]
        for choice in chunk["choices"]:
            self._reason = choice.get("finish_reason") or self._reason
            told += self._choice(choice)
        return b"".join(told)

    def _begin(self, chunk: Mapping[str, Any]) -> list[bytes]:
        self._model = chunk["model"]
        self._counted = chunk.get("usage")
        begun = self._response(IN_PROGRESS)
        return [self._event(f"response.{name}", response=begun) for name in ("created", IN_PROGRESS)]

    def _choice(self, choice: Mapping[str, Any]) -> list[bytes]:
        delta = choice["delta"]
        told = []
        if (thought := delta.get("reasoning")) is not None:
            told += [*self._turn("reasoning"), self._piece("response.reasoning_text.delta", thought)]
        if text := delta.get("content"):
            told += self._turn("message")
            probable = self._logprobs(choice)
            self._current.logprobs += probable
            told.append(self._piece("response.output_text.delta", text, logprobs=[_short(each) for each in probable]))
        for call in delta.get("tool_calls") or ():
            told += self._call(call)
        return told

    def _logprobs(self, choice: Mapping[str, Any]) -> Sequence[Json]:
        if self._asked.parsed and not self._asked.told.include_reasoning:
            return ()
        return output.logprobs(choice.get("logprobs")) or ()

    @property
    def _current(self) -> Open:
        assert self._open is not None
        return self._open

    def _turn(self, kind: str) -> list[bytes]:
        """To a message, or to thoughts."""
        if self._open is not None and self._open.kind == kind:
            return []
        told = self._close(COMPLETED)
        if kind == "message":
            item_id = output.new_id("msg")
            item, part = output.message(item_id, [], IN_PROGRESS), output.text_part("", [])
        else:
            item_id = output.new_id("rs")
            item, part = output.thought(item_id, None, IN_PROGRESS), output.thought_part("")
        self._open = Open(kind, item_id)
        told.append(self._event("response.output_item.added", item=item, output_index=len(self._items)))
        told.append(self._told("response.content_part.added", content_index=0, part=part))
        return told

    def _call(self, call: Mapping[str, Any]) -> list[bytes]:
        function = call["function"]
        told = []
        opened = self._open
        if opened is None or not opened.call_id or opened.index != call["index"]:
            told = [*self._close(COMPLETED), self._open_call(call, function["name"])]
        if arguments := function.get("arguments"):
            if self._current.kind == "function_call":
                told.append(self._piece("response.function_call_arguments.delta", arguments))
            else:  # What of free text is half of an escape is not to be seen from here.
                self._current.text.append(arguments)
        return told

    def _open_call(self, call: Mapping[str, Any], name: str) -> bytes:
        index, call_id = call["index"], call["id"]
        if name in self._asked.tools.custom:
            opened = Open("custom_tool_call", output.new_id("ctc"), index=index, call_id=call_id, name=name)
            item = output.custom_call(opened.id, call_id, name, "")
        else:
            told, namespace = self._asked.tools.names.get(name, (name, None))
            opened = Open("function_call", output.new_id("fc"), [], [], index, call_id, told, namespace)
            item = output.call(opened.id, call_id, told, namespace, "", IN_PROGRESS)
        self._open = opened
        return self._event("response.output_item.added", item=item, output_index=len(self._items))

    def _piece(self, kind: str, text: str, **more: Any) -> bytes:
        self._current.text.append(text)
        if self._current.call_id:
            return self._told(kind, delta=text)
        return self._told(kind, content_index=0, delta=text, **more)

    def _close(self, status: str) -> list[bytes]:
        opened = self._open
        if opened is None:
            return []
        item, ends = opened.ended(status)
        told = [self._told(f"response.{name}", **of) for name, of in ends]
        told.append(self._event("response.output_item.done", item=item, output_index=len(self._items)))
        self._items.append(item)
        self._open = None
        return told

    def _end(self) -> bytes:
        self._over = True
        told = self._close(output.status_of(self._reason))
        status = INCOMPLETE if self._reason == output.LENGTH else COMPLETED
        ended = self._response(status, counted=True)
        return b"".join([*told, self._event(f"response.{status}", response=ended)])

    def _failed(self, chunk: Json) -> bytes:
        """vLLM's stream breaks off here; OpenAI's has an event for it."""
        self._over = True
        if not self._number:
            self.refusal = chunk
            return b""
        told = self._close(INCOMPLETE)
        message = chunk["error"].get("message")
        ended = self._response(FAILED, error={"code": "server_error", "message": message})
        return b"".join([*told, self._event("response.failed", response=ended)])

    def _response(self, status: str, *, counted: bool = False, **more: Any) -> Json:
        known = self._counted
        prompt = known["prompt_tokens"] if known else 0
        return response(
            self._asked,
            created_at=self._created,
            model=self._model,
            output=list(self._items),
            status=status,
            usage=usage(known) if counted and known else None,
            max_output_tokens=self._asked.room(prompt),
            **more,
        )

    def _told(self, kind: str, **of: Any) -> bytes:
        """Of the item that is open."""
        return self._event(kind, item_id=self._current.id, output_index=len(self._items), **of)

    def _event(self, kind: str, **of: Any) -> bytes:
        """The keys of all of them are in the alphabet's order."""
        said = dict(sorted({**of, "sequence_number": self._number, "type": kind}.items()))
        self._number += 1
        return b"event: %b\ndata: %b" % (kind.encode(), encode(said)) + END


def _short(token: Mapping[str, Any]) -> Json:
    """Of a piece, which has no bytes."""
    return {
        "token": token["token"],
        "logprob": token["logprob"],
        "top_logprobs": [{"token": top["token"], "logprob": top["logprob"]} for top in token["top_logprobs"]],
    }
