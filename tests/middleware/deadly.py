"""What ends SGLang 0.5.23, or leaves it waiting for ever: each was seen on a real one.
The stand-in cannot die, so the fuzz tests ask here whether a request that came through would have ended the real one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

INT32, INT64 = 2**31, 2**63
# What becomes a tensor, or a message to the scheduler.
LARGEST = {
    "top_k": INT32,
    "stream_interval": INT32,
    "top_logprobs_num": INT32,
    "logprob_start_len": INT32,
    "routed_experts_start_len": INT32,
    "priority": INT64,
    "seed": INT64,
    "sampling_seed": INT64,
}
# What is looked up for a single prompt as it is.
ONE = (
    "rid",
    "lora_path",
    "return_logprob",
    "logprob_start_len",
    "top_logprobs_num",
    "return_hidden_states",
    "return_sampling_mask",
    "sampling_params",
)
PROMPTS = {"/generate": ("text", "input_ids"), "/encode": ("text", "input_ids"), "/v1/completions": ("prompt",)}
CHAT = ("/v1/chat/completions", "/v1/responses")
# Whose own documents have labels of metrics.
LABELLED = ("/generate", "/v1/completions")

HI = {"text": "hi", "sampling_params": {"max_new_tokens": 2}}
# The smallest that did; sent to a real engine too, by `tests/engine`.
DEADLY: tuple[tuple[str, dict[str, Any]], ...] = (
    ("/generate", {**HI, "sampling_params": {"top_k": INT32}}),
    ("/generate", {**HI, "sampling_params": {"top_k": 2**40, "max_new_tokens": 2}}),
    ("/vertex_generate", {"instances": [HI], "parameters": {"sampling_params": {"top_k": INT32}}}),
    ("/api/generate", {"model": "m", "prompt": "hi", "options": {"top_k": INT32, "num_predict": 2}, "stream": False}),
    ("/generate", {"text": ""}),
    ("/generate", {"text": ["hi", ""]}),
    ("/generate", {"input_ids": []}),
    ("/generate", {"input_ids": [[1], []]}),
    ("/generate", {"text": "", "image_data": "AAAA"}),
    ("/vertex_generate", {"instances": [{"text": ""}, {"text": "hi"}]}),
    ("/encode", {"text": ""}),
    ("/encode", {"text": ["hi", ""]}),
    ("/generate", {**HI, "lora_path": [None]}),
    ("/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 2, "lora_path": [None]}),
    ("/generate", {**HI, "top_logprobs_num": [2], "return_logprob": [True]}),
    ("/generate", {**HI, "logprob_start_len": [0], "return_logprob": True}),
    ("/generate", {**HI, "token_ids_logprob": [[1]], "return_logprob": True}),
    ("/generate", {**HI, "custom_labels": {"a": "b"}}),
    ("/v1/completions", {"prompt": "hi", "max_tokens": 2, "custom_labels": {"a": "b"}}),
    ("/generative_scoring", {"query": "", "items": [""], "label_token_ids": [1]}),
    ("/generative_scoring", {"query": [], "items": [[1], []], "label_token_ids": [1]}),
)
# What is its 500 without a word.
WORDLESS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("/parse_function_call", {"text": "a", "tools": [], "tool_call_parser": "nope"}),
    ("/parse_function_call", {"text": "a", "tools": []}),
    ("/separate_reasoning", {"text": "a", "reasoning_parser": "nope"}),
    ("/api/chat", {"model": "m", "messages": []}),
    ("/api/generate", {"model": "m", "prompt": "hi", "options": {"top_p": 5}}),
    ("/generate", {"text": ["a", "b", "c"], "sampling_params": [{}, {}]}),
    ("/generate", {"text": ["a", "b"], "sampling_params": []}),
    ("/generate", {"text": "a", "sampling_params": [{}]}),
    ("/generate", {"text": ["a", "b"], "return_logprob": [True]}),
    ("/generate", {"text": ["a", "b"], "modalities": ["image"]}),
    ("/generate", {"text": ["a", "b"], "video_data": ["data:,"]}),
    ("/encode", {"text": ["a", "b"], "rid": "a"}),
    ("/encode", {"text": ["a", "b"], "rid": ["a"]}),
)


def why_deadly(path: str, body: dict[str, Any]) -> str:
    """Empty for what does no harm."""
    return next((why for why in _reasons(path, body)), "")


def _reasons(path: str, body: dict[str, Any]) -> Iterator[str]:
    parameters = body.get("parameters")
    for holder in (body, *_objects(parameters), *_objects(body.get("options"))):
        for inner in (holder, *_objects(holder.get("sampling_params"))):
            yield from _too_large(inner)
        # The documents of Vertex and Ollama have fields of their own, and SGLang looks at nothing else of them.
        is_foreign = path == "/vertex_generate" or path.startswith("/api/")
        is_read = is_foreign if holder is not body else path in LABELLED
        if holder.get("custom_labels") and is_read:
            yield "custom_labels"
    if path in CHAT and isinstance(body.get("lora_path"), list):
        yield "lora_path is a list for one prompt"
    if path == "/vertex_generate":
        yield from _vertex(body.get("instances"), parameters)
    if path == "/v1/score" and any(not body.get("query") and not item for item in body.get("items") or ()):
        yield "an empty prompt"
    for name in PROMPTS.get(path, ()):
        if name in body:
            yield from _prompts(name, body)


def _too_large(holder: dict[str, Any]) -> Iterator[str]:
    for name, limit in LARGEST.items():
        value = holder.get(name)
        for number in value if isinstance(value, list) else [value]:
            if isinstance(number, int) and not -limit <= number < limit:
                yield f"{name} is {number}"


def _prompts(name: str, body: dict[str, Any]) -> Iterator[str]:
    value = body[name]
    many = isinstance(value, list) and not (value and isinstance(value[0], int))
    if value in ("", [], None) or (many and any(item in ("", []) for item in value)):
        yield f"an empty prompt: {name} is {value!r}"
    for other in ONE:
        given = body.get(other)
        if isinstance(given, list) and (not many or len(given) != len(value)):
            yield f"{other} is a list of {len(given)} for {len(value) if many else 'one'}"
    ids = body.get("token_ids_logprob")
    if not many and isinstance(ids, list) and any(isinstance(row, list) for row in ids):
        yield "token_ids_logprob is a list of lists for one"


def _vertex(instances: Any, parameters: Any) -> Iterator[str]:
    count = len(instances) if isinstance(instances, list) else 0
    for instance in _objects(instances):
        if any(instance.get(name, 1) in ("", []) for name in ("text", "input_ids")):
            yield f"an empty prompt: {instance!r}"
    for holder in _objects(parameters):
        for other in ONE:
            given = holder.get(other)
            if isinstance(given, list) and len(given) != count:
                yield f"{other} is a list of {len(given)} for {count}"


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in (value if isinstance(value, list) else [value]) if isinstance(item, dict)]
