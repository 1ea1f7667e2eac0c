"""THE table of series: every name of vLLM 0.33.0's /metrics, the older names that are still read, and our own.
Sources: vllm/v1/metrics/loggers.py 0.33.0, sglang/srt/observability/metrics_collector.py 0.5.23.
"""

from middleware.metrics.record import Series
from middleware.metrics.table.engine import ENGINE
from middleware.metrics.table.http import HTTP
from middleware.metrics.table.latency import LATENCY
from middleware.metrics.table.ours import OURS
from middleware.metrics.table.queue import QUEUE
from middleware.metrics.table.requests import REQUESTS
from middleware.metrics.table.scheduler import SCHEDULER
from middleware.metrics.table.speculation import SPECULATION

AREAS: dict[str, tuple[Series, ...]] = {
    "Queue": QUEUE,
    "KV cache and scheduler": SCHEDULER,
    "Requests and tokens": REQUESTS,
    "Latency and length": LATENCY,
    "Speculative decoding": SPECULATION,
    "The engine": ENGINE,
    "HTTP": HTTP,
    "This image": OURS,
}
# Names of vLLM's by how they begin, and why none of them is here.
ABSENT: dict[str, str] = {
    "vllm:nixl_": "of vLLM's connector; SGLang's own are sglang:kv_transfer_*",
    "vllm:mooncake_": "of vLLM's connector; SGLang's own are sglang:kv_transfer_*",
    "vllm:hf3fs_": "of vLLM's connector; SGLang's own are sglang:prefetch_* and sglang:backup_*",
    "vllm:umbp_": "of vLLM's connector; SGLang has no such storage",
    "vllm:hisparse_": "of vLLM's connector; SGLang has no such cache",
    "vllm:kv_offload_": "of vLLM's offloading; SGLang's own are sglang:hicache_* and sglang:load_back_*",
    "vllm:simple_kv_offload_": "of vLLM's offloading; SGLang's own are sglang:hicache_* and sglang:load_back_*",
    "vllm:sleep_mode_": "how long /sleep and /wake_up took is in the log; vllm:engine_sleep_state says how it is",
    "vllm:rl_weight_update_": "nobody times an update here; /weight_info says which weights are served",
}
TABLE: tuple[Series, ...] = tuple(series for area in AREAS.values() for series in area)
