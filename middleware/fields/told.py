"""What the editing of an answer must know of its request: made when the request is opened, before the table is walked.
Read by `middleware.dialect`; converters write into it what only they know (the model's name, the prompt's token ids).
"""

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

_LIST = msgspec.json.Decoder(list[msgspec.Raw])
# How a choice has ended that SGLang tells as an error, in `Told.ends`.
ERROR = "error"
REJECTED = "rejected"
# What SGLang 0.5.23 says of --max-queued-requests, with a 503 or in a stream's first event.
FULL = "The request queue is full."
# What pydantic, which reads the request in vLLM and SGLang, takes for true.
_TRUE = frozenset({"1", "on", "t", "true", "y", "yes"})


class Kind(enum.Enum):
    """Of answers; a table names its own."""

    CHAT = "chat"
    COMPLETION = "completion"
    RESPONSE = "response"
    # Of /inference/v1/generate: token ids.
    TOKENS = "tokens"
    # Only its errors are vLLM's business.
    OTHER = "other"
    # SGLang's own routes: errors stay as they are, but for the server's paths in them.
    NATIVE = "native"


@dataclass(slots=True)
class TokensTold:
    """What only an answer in token ids needs of its request."""

    prompt: msgspec.Raw = field(default_factory=lambda: msgspec.Raw(b"[]"))
    text: bool = False
    # From which token on experts are told.
    experts_start: int = 0
    # How many a layer asks for each token; 0: not known, and they are not told.
    experts_per_token: int = 0


@dataclass(slots=True)
class Told:
    kind: Kind = Kind.OTHER
    # The whole id that the client sees, and the one that SGLang is given (`dialect.ids`).
    id: str = ""
    rid: str = ""
    rid_field: str = "rid"
    request_id: str | None = None
    # The name the client used; None is the server's first.
    model: str | None = None
    n: int = 1
    prompts: int = 1
    include_usage: bool = False
    continuous_usage: bool = False
    return_token_ids: bool = False
    return_weight_versions: bool = False
    return_prompt_text: bool = False
    tokens_as_ids: bool = False
    include_reasoning: bool = True
    parallel_tool_calls: bool = True
    # auto, none, required or named; empty where the request does not say.
    tool_choice: str = ""
    echo: bool = False
    # Nothing but the prompt is wanted: the one token that SGLang makes all the same is not told.
    only_prompt: bool = False
    # What is shown before the answer, where SGLang does not tell it apart: a chat's last message, completions' prompts.
    echoed: Sequence[str] = field(default=(), repr=False)
    top_logprobs: int | None = None
    # Of completions: how many besides the chosen token.
    logprobs: int | None = None
    # Of completions: how many besides each token of the prompt; None: the prompt's have none.
    prompt_logprobs: int | None = None
    # Whose turn is told where the model goes on without a turn of its own; None for the server's.
    role: str | None = None
    stop_token_ids: frozenset[int] = frozenset()
    # The prompt came as token ids: vLLM then knows how long it is even where it is too long.
    prompt_is_ids: bool = False
    # Known before the answer if somebody has rendered and tokenized the prompt.
    prompt_token_ids: Sequence[int] | None = field(default=None, repr=False)
    # The prompt itself, where this middleware has rendered it and the client wants it.
    prompt_text: str | None = field(default=None, repr=False)
    # Of a stream of chat whose tokens are told as ids: SGLang tells their bytes alone.
    ids_by_bytes: Mapping[bytes, int] | None = field(default=None, repr=False)
    # Of Kind.TOKENS, filled in when its request is ready to be sent.
    tokens: TokensTold = field(default_factory=TokensTold, repr=False)
    # SGLang's own way to generate, where it is asked there instead of on the client's path.
    target: bytes = b""
    # Of the answer, filled in as it is told: how each choice has ended, in SGLang's word, and how long a prompt is.
    ends: list[str] = field(default_factory=list)
    prompt_tokens: int | None = None
    # The length that is asked for, when the table's rules are done with it (`metrics.accounts`).
    max_tokens: int | None = None
    # What is put behind an id of the client's on SGLang's own routes, and taken off again.
    ending: str = ""

    @property
    def choices(self) -> int:
        return self.n * self.prompts


def failure(error: object) -> str:
    """How a choice has ended of which a stream tells an error."""
    message = error.get("message") if isinstance(error, dict) else None
    return REJECTED if isinstance(message, str) and message.startswith(FULL) else ERROR


def told(kind: Kind, fields: Mapping[str, msgspec.Raw]) -> Told:
    """A value of a wrong type counts as absent: what to say of it is the table's and SGLang's business."""
    known = Told(kind)
    for name, read in _READERS.items():
        raw = fields.get(name)
        if raw is not None:
            try:
                read(known, raw)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                continue
    return known


def _add_generation_prompt(known: Told, raw: msgspec.Raw) -> None:
    value = msgspec.json.decode(raw)
    known.role = None if value is None or _true(value) else ""


def _messages(known: Told, raw: msgspec.Raw) -> None:
    """Only of a request without a turn for the model: vLLM answers in the last one's role."""
    if known.role == "":
        last = _LIST.decode(raw)[-1:]
        message = msgspec.json.decode(last[0]) if last else None
        role = message.get("role") if isinstance(message, dict) else None
        known.role = role if isinstance(role, str) else None


def _model(known: Told, raw: msgspec.Raw) -> None:
    known.model = _text(raw) or None


def _request_id(known: Told, raw: msgspec.Raw) -> None:
    known.request_id = _text(raw)


def _n(known: Told, raw: msgspec.Raw) -> None:
    wanted = msgspec.json.decode(raw)
    try:
        known.n = max(1, int(wanted)) if isinstance(wanted, int | float | str) else 1
    except (ValueError, OverflowError):
        known.n = 1


def _top_logprobs(known: Told, raw: msgspec.Raw) -> None:
    wanted = msgspec.json.decode(raw)
    known.top_logprobs = wanted if isinstance(wanted, int) else None


def _stream_options(known: Told, raw: msgspec.Raw) -> None:
    options = msgspec.json.decode(raw)
    if isinstance(options, dict):
        known.include_usage = _true(options.get("include_usage"))
        known.continuous_usage = known.include_usage and _true(options.get("continuous_usage_stats"))


def _tool_choice(known: Told, raw: msgspec.Raw) -> None:
    choice = msgspec.json.decode(raw)
    if isinstance(choice, dict):
        known.tool_choice = {"auto": "auto", "any": "required", "none": "none"}.get(str(choice.get("type")), "named")
    elif isinstance(choice, str):
        known.tool_choice = choice


def _prompt(known: Told, raw: msgspec.Raw) -> None:
    """How many: a list of numbers is one prompt, and is not decoded."""
    start = bytes(memoryview(raw)[:64]).replace(b" ", b"").replace(b"\n", b"")
    if start.startswith(b'["'):
        known.prompts = len(_LIST.decode(raw))
    elif start.startswith(b"[["):
        known.prompts = len(_LIST.decode(raw))
        known.prompt_is_ids = True
    else:
        known.prompt_is_ids = start.startswith(b"[")


def _flag(name: str, *, unless_given: bool = False) -> Callable[[Told, msgspec.Raw], None]:
    def read(known: Told, raw: msgspec.Raw) -> None:
        value = msgspec.json.decode(raw)
        setattr(known, name, unless_given if value is None else _true(value))

    return read


def _text(raw: msgspec.Raw) -> str | None:
    value = msgspec.json.decode(raw)
    return value if isinstance(value, str) else None


def _true(value: Any) -> bool:
    return value is True or value == 1 or (isinstance(value, str) and value.lower() in _TRUE)


_READERS: dict[str, Callable[[Told, msgspec.Raw], None]] = {
    "model": _model,
    "request_id": _request_id,
    "n": _n,
    "stream_options": _stream_options,
    "return_token_ids": _flag("return_token_ids"),
    "return_weight_versions": _flag("return_weight_versions"),
    "return_prompt_text": _flag("return_prompt_text"),
    "return_tokens_as_token_ids": _flag("tokens_as_ids"),
    "include_reasoning": _flag("include_reasoning", unless_given=True),
    "parallel_tool_calls": _flag("parallel_tool_calls", unless_given=True),
    "tool_choice": _tool_choice,
    "echo": _flag("echo"),
    "top_logprobs": _top_logprobs,
    "add_generation_prompt": _add_generation_prompt,
    "messages": _messages,
    "prompt": _prompt,
}
