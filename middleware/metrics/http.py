"""vLLM's HTTP series, by the rules of prometheus-fastapi-instrumentator 8 as vLLM 0.33.0 sets it up.
Called by `middleware.app` at the end of every request that has passed the keys.
"""

from starlette.types import Scope

from middleware.answers import ANSWER
from middleware.headers import Headers, header
from middleware.metrics.counts import Counts

# Anywhere in a path, as there: /v1/load_lora_adapter is not counted either.
EXCLUDED = ("/metrics", "/health", "/load", "/ping", "/version", "/server_info", "/ready")
NO_HANDLER = "none"
# Of a client that left before it was answered; nginx's word.
CLIENT_GONE = 499


def count(counts: Counts, scope: Scope, handler: str | None, seconds: float) -> None:
    # Of a path that has no handler it is asked all the same: nobody counts who probes /healthz.
    if _has_excluded(handler or scope["path"]):
        return
    path = handler or NO_HANDLER
    start = scope.get(ANSWER)
    status = CLIENT_GONE if start is None else start["status"]
    method = scope["method"]
    counts.http_requests.inc(path, method, f"{status // 100}xx")
    counts.http_request_bytes.observe(_length(scope["headers"]), path)
    counts.http_response_bytes.observe(0.0 if start is None else _length(start["headers"]), path)
    counts.http_seconds_fine.observe(seconds)
    counts.http_seconds.observe(seconds, path, method)


def _has_excluded(path: str) -> bool:
    return any(word in path for word in EXCLUDED)


def _length(headers: Headers) -> float:
    value = header(headers, b"content-length")
    return float(value) if value is not None and value.isdigit() else 0.0
