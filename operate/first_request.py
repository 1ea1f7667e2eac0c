"""One small request to a fresh engine, in SGLang's own words, that reaches the kernels of a prefill and of a decode.
`prewarm` sends it, to the engine itself: no API key stands in between.
"""

from __future__ import annotations

import http.client
import json
from typing import Any

# Token ids: an engine without a tokenizer takes them as well, and no vocabulary is so small.
PROMPT = list(range(10, 74))
GENERATE = {"input_ids": PROMPT, "sampling_params": {"max_new_tokens": 16, "temperature": 0, "ignore_eos": True}}
EMBED = {"input_ids": PROMPT}


class Unanswered(Exception):
    """The message is one sentence."""


def send(port: int, seconds: float) -> None:
    """Raises Unanswered."""
    status, answer = _ask(port, "GET", "/get_model_info", None, seconds)
    is_generation = answer.get("is_generation", True) if status == http.HTTPStatus.OK else True
    path, body = ("/generate", GENERATE) if is_generation else ("/encode", EMBED)
    status, answer = _ask(port, "POST", path, body, seconds)
    if status != http.HTTPStatus.OK:
        raise Unanswered(f"the engine answered the first request with {status}: {json.dumps(answer)[:300]}")


def _ask(port: int, method: str, path: str, body: object, seconds: float) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=max(1.0, seconds))
    try:
        headers = {"content-type": "application/json", "connection": "close"}
        connection.request(method, path, json.dumps(body) if body else None, headers)
        answer = connection.getresponse()
        text = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise Unanswered(f"the engine did not answer the first request: {error or type(error).__name__}") from error
    finally:
        connection.close()
    try:
        told = json.loads(text)
    except ValueError:
        told = {}
    return answer.status, told if isinstance(told, dict) else {}
