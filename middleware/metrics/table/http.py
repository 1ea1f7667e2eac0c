"""vLLM's HTTP series, which prometheus-fastapi-instrumentator 8 makes there: counted here by the same rules.
Part of THE table of series.
"""

from middleware.metrics.record import Kind, Series, counted

HTTP: tuple[Series, ...] = (
    counted(
        "http_requests_total",
        Kind.COUNTER,
        "requests",
        "Total number of requests by method, status and handler.",
        "http_requests",
        labels=("handler", "method", "status"),
        own=(),
        why="a client that leaves before it is answered is a 4xx",
    ),
    counted(
        "http_request_size_bytes",
        Kind.SUMMARY,
        "bytes",
        "Content length of incoming requests by handler. Only value of header is respected. Otherwise ignored.",
        "http_request_bytes",
        labels=("handler",),
        own=(),
    ),
    counted(
        "http_response_size_bytes",
        Kind.SUMMARY,
        "bytes",
        "Content length of outgoing responses by handler. Only value of header is respected. Otherwise ignored.",
        "http_response_bytes",
        labels=("handler",),
        own=(),
    ),
    counted(
        "http_request_duration_highr_seconds",
        Kind.HISTOGRAM,
        "seconds",
        "Latency with many buckets but no API specific labels. Made for more accurate percentile calculations.",
        "http_seconds_fine",
        family="http_fine",
        own=(),
    ),
    counted(
        "http_request_duration_seconds",
        Kind.HISTOGRAM,
        "seconds",
        "Latency with only few buckets by handler. Made to be only used if aggregation by handler is important.",
        "http_seconds",
        labels=("handler", "method"),
        family="http",
        own=(),
    ),
)
