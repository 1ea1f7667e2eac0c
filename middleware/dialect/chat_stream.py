"""A chat stream's chunks: THE table of those that are told without being read, and what becomes of the others.
Made by `reply` for every streamed answer of /v1/chat/completions.
"""

from collections.abc import Mapping
from typing import Any

from middleware.dialect import logprobs, tools, usage
from middleware.dialect.errors import stream_error
from middleware.dialect.events import DATA, DONE, END, Events, decode, line
from middleware.dialect.keys import Json
from middleware.dialect.shapes import Shape, Shapes
from middleware.dialect.voice import Voice
from middleware.fields.told import Told, failure

HEAD = ("id", "object", "created", "model")
_OPEN = b'"},"logprobs":null,"finish_reason":null,"matched_stop":null}]}'
# As it is behind a server's parser of tools.
_PARSED = b'},"logprobs":null,"finish_reason":null,"matched_stop":null}],"usage":null}'
_OURS = b'},"logprobs":null,"finish_reason":null,"token_ids":null}],"kv_transfer_params":null}' + END

# The arguments of a first call; a second one's are looked at.
ARGUMENTS = Shape(
    b',"delta":{"role":null,"content":null,"reasoning_content":null,"tool_calls":[{"id":null,"index":0,'
    b'"type":"function","function":{"name":null,"arguments":"',
    b'"}}]' + _PARSED,
    b',"delta":{"content":null,"tool_calls":[{"index":0,"function":{"arguments":"',
    b'"}}]' + _OURS,
)
TEXT = (
    Shape(b',"delta":{"reasoning_content":null,"content":"', _OPEN, b',"delta":{"content":"', b'"' + _OURS),
    Shape(
        b',"delta":{"role":null,"content":"',
        b'","reasoning_content":null' + _PARSED,
        b',"delta":{"content":"',
        b'"' + _OURS,
    ),
    ARGUMENTS,
)
REASONING = Shape(
    b',"delta":{"reasoning_content":"', _OPEN, b',"delta":{"reasoning":"', b'"' + _OURS, b'","reasoning_content":"'
)


class ChatStream(Events):
    """SGLang's last chunks come together: the ends of the choices, then the token ids, the usage, [DONE]. The ends wait
    for the others, because the ids belong into them and vLLM's fingerprint into the last.
    """

    __slots__ = ("_called", "_ends", "_roles", "_shapes", "_told", "_untold", "_usages", "_voice")

    def __init__(self, told: Told, voice: Voice) -> None:
        super().__init__()
        self._told = told
        self._voice = voice
        # With usage in every chunk none is like the others.
        shapes = () if told.continuous_usage else TEXT
        self._shapes = Shapes((*shapes, REASONING) if shapes and told.include_reasoning else shapes)
        self._called = False
        # Log probabilities that came without any text: of the end of the sequence, if that is next.
        self._untold: dict[int, Json] = {}
        self._ends: list[Json] = []
        self._roles: list[Json] = []
        self._usages: dict[int, Mapping[str, Any]] = {}

    def edited(self, event: bytes) -> bytes:
        if (retold := self._shapes.retell(event)) is not None:
            return retold
        if event == DONE:
            return self.held() + event + END
        if not event.startswith(DATA):
            return event + END
        chunk = decode(event[len(DATA) :])
        if "error" in chunk:
            self._told.ends.append(failure(chunk["error"]))
            return self.held() + stream_error(chunk["error"])
        if not chunk["choices"]:
            return self._last(chunk)
        ours = self._head(chunk)
        if not self._shapes.learned:
            self._shapes.learn(event, line(ours)[: -len(b"}\n\n")])
        return self._chunk(chunk, chunk["choices"][0], ours)

    def held(self) -> bytes:
        ends = self._ends
        for end in ends:
            _insert(end, "system_fingerprint", self._voice.fingerprint)
        self._ends = []
        untold, self._untold = self._untold, {}
        return self._begun() + b"".join(line(chunk) for chunk in (*untold.values(), *ends))

    def _head(self, chunk: Mapping[str, Any]) -> Json:
        told, voice = self._told, self._voice
        return {
            "id": told.id or chunk["id"],
            "object": chunk["object"],
            "created": chunk["created"],
            "model": told.model or voice.model or chunk["model"],
        }

    def _chunk(self, chunk: Mapping[str, Any], choice: Mapping[str, Any], ours: Json) -> bytes:
        told = self._told
        index, delta, reason = choice["index"], choice["delta"], choice["finish_reason"]
        counted = chunk.get("usage")
        if counted:
            self._usages[index] = counted
        told_choice: Json = {"index": index, "delta": {}, "logprobs": self._logprobs(choice)}
        told_choice["finish_reason"] = tools.finish_reason(reason, told)
        ours["choices"] = [told_choice]
        if delta.get("role"):
            told_choice["delta"] = {"role": told.role or self._voice.role, "content": ""}
            return self._role(ours)
        told_choice["delta"] = _delta(delta, told)
        if self._is_empty(told_choice["delta"]) and reason is None:
            if not told_choice["logprobs"]:
                return b""
            told_choice["delta"] = {}
        if reason is not None:
            told.ends.append(reason)
            told_choice["stop_reason"] = tools.stop_reason(choice.get("matched_stop"), told)
        told_choice["token_ids"] = None
        if reason is not None:
            told_choice["weight_versions"] = None
            counted = self._usages.get(index)
        if told.continuous_usage and counted:
            ours["usage"] = usage.each(counted, told, self._voice)
        ours["kv_transfer_params"] = None
        untold = self._untold.pop(index, None)
        if reason is not None:
            if untold is not None:
                told_choice["logprobs"] = untold["choices"][0]["logprobs"]
            self._ends.append(ours)
            return b""
        before = self._begun() if untold is None else self._begun() + line(untold)
        if not told_choice["delta"]:
            self._untold[index] = ours
            return before
        return before + line(ours)

    def _logprobs(self, choice: Mapping[str, Any]) -> Any:
        return logprobs.chat(choice.get("logprobs"), by_bytes=self._told.ids_by_bytes)

    def _is_empty(self, delta: Json) -> bool:
        """Behind a call SGLang tells the line's end that its parser found there; vLLM does not. Where a call was asked
        for, vLLM's grammar ends with it; what SGLang lets the model add is told in neither's whole answers."""
        if "tool_calls" in delta and not self._called:
            self._called = True
            self._shapes.keep(ARGUMENTS)
        if not delta or not self._called or list(delta) != ["content"]:
            return not delta
        return self._told.tool_choice in tools.FORCED or not (delta["content"] or "").strip()

    def _role(self, ours: Json) -> bytes:
        told = self._told
        ours["prompt_token_ids"] = told.prompt_token_ids if told.return_token_ids else None
        ours["prompt_text"] = told.prompt_text
        begun = [ours]
        if told.echoed:
            echo = {"index": ours["choices"][0]["index"], "delta": {"content": told.echoed[0]}}
            echo |= {"logprobs": None, "finish_reason": None}
            begun.append({name: ours[name] for name in HEAD} | {"choices": [echo]})
        if not told.continuous_usage:
            return b"".join(map(line, begun))
        # They tell how long the prompt is, which SGLang tells with the first text.
        self._roles += begun
        return b""

    def _begun(self) -> bytes:
        roles, self._roles = self._roles, []
        if roles and self._usages:
            first = usage.begun(next(iter(self._usages.values())))
            roles = [_with_usage(role, first) for role in roles]
        return b"".join(line(role) for role in roles) if roles else b""

    def _last(self, chunk: Mapping[str, Any]) -> bytes:
        """No choices: SGLang's token ids, or the usage of the whole stream."""
        ids = chunk.get("sglext")
        if ids and self._told.return_token_ids:
            self._add_ids(ids)
        total = chunk.get("usage")
        if total is None:
            return b""
        told, voice = self._told, self._voice
        told.prompt_tokens = total["prompt_tokens"]
        if told.continuous_usage:
            self._usages.setdefault(0, total)
            if told.choices == 1 and self._ends:  # The end of the sequence is a token too.
                _insert(self._ends[0], "usage", usage.each(total, told, voice))
        ends, self._ends = self._ends, []
        last = self._head(chunk) | {"choices": [], "usage": usage.last(total, told, voice)}
        if voice.fingerprint is not None:
            last["system_fingerprint"] = voice.fingerprint
        return self._begun() + b"".join(line(end) for end in ends) + line(last)

    def _add_ids(self, ids: Mapping[str, Any]) -> None:
        """vLLM tells a token's id in its chunk and the prompt's in the first; SGLang's chat tells all at the end."""
        output = ids.get("output_ids") or ()
        for end in self._ends:
            choice = end["choices"][0]
            if choice["index"] < len(output):
                choice["token_ids"] = output[choice["index"]]
            if self._told.prompt_token_ids is None:
                end["prompt_token_ids"] = ids.get("input_ids")


def _delta(delta: Mapping[str, Any], told: Told) -> Json:
    calls = delta.get("tool_calls")
    if calls and (pieces := tools.pieces(calls, told)):
        return {"content": delta.get("content"), "tool_calls": pieces}
    ours: Json = {}
    if delta.get("content") is not None:
        ours["content"] = delta["content"]
    if delta.get("reasoning_content") is not None and told.include_reasoning:
        ours["reasoning"] = ours["reasoning_content"] = delta["reasoning_content"]
    return ours


def _insert(chunk: Json, name: str, value: Any) -> None:
    """Where vLLM has it: before `kv_transfer_params`."""
    if value is None:
        return
    params = chunk.pop("kv_transfer_params", None)
    chunk[name] = value
    chunk["kv_transfer_params"] = params


def _with_usage(role: Json, counted: Json) -> Json:
    prompt = {name: role.pop(name) for name in ("prompt_token_ids", "prompt_text") if name in role}
    return role | {"usage": counted} | prompt
