"""The item of a response that is being told, and how it ends: vLLM 0.33.0's events for a thought, a text and a call.
Kept by `responses.events`, one at a time.
"""

from dataclasses import dataclass, field
from typing import Any

from middleware.responses import output
from middleware.responses.output import Json

# The names of events, behind `response.`, and what is in them besides the item's id and place.
Ends = list[tuple[str, dict[str, Any]]]


@dataclass(slots=True)
class Open:
    """Its kind is what the pieces of another kind end."""

    kind: str
    id: str
    text: list[str] = field(default_factory=list)
    logprobs: list[Json] = field(default_factory=list)
    # Of calls.
    index: int = 0
    call_id: str = ""
    name: str = ""
    namespace: str | None = None

    def ended(self, status: str) -> tuple[Json, Ends]:
        """The whole item, and what is told before it is."""
        text = "".join(self.text)
        if self.kind == "message":
            part = output.text_part(text, self.logprobs or None)
            done = {"content_index": 0, "logprobs": [], "text": text}
            ends: Ends = [("output_text.done", done), ("content_part.done", {"content_index": 0, "part": part})]
            return output.message(self.id, [part], status), ends
        if self.kind == "reasoning":
            part = output.thought_part(text)
            done = {"content_index": 0, "text": text}
            ends = [("reasoning_text.done", done), ("content_part.done", {"content_index": 0, "part": part})]
            return output.thought(self.id, [part], status), ends
        if self.kind == "function_call":
            item = output.call(self.id, self.call_id, self.name, self.namespace, text, status)
            return item, [("function_call_arguments.done", {"arguments": text, "name": self.name})]
        payload = output.payload(text)
        ends = [
            ("custom_tool_call_input.delta", {"delta": payload}),
            ("custom_tool_call_input.done", {"input": payload}),
        ]
        return output.custom_call(self.id, self.call_id, self.name, payload), ends
