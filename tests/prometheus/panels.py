"""THE table of what the production stack asks Prometheus: the panels of its dashboards and of vLLM's own, and the
queries of what scales it. A new dashboard is a few lines here; `tests/engine/test_dashboards.py` asks all of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.prometheus import shapes
from tests.prometheus.shapes import Shape

# Where each was read: repository, file, commit.
STACK = "production-stack helm/dashboards/vllm-dashboard.json 9d01a60"
STACK_BEFORE = "production-stack helm/dashboards/vllm-dashboard.json 98d2c22"
MODEL = "production-stack helm/dashboards/vllm-model-metrics-dashboard.json a6c01db"
MODEL_BEFORE = "production-stack helm/dashboards/vllm-model-metrics-dashboard.json 83f4b71"
LMCACHE = "production-stack helm/dashboards/lmcache-dashboard.json da89e44"
VLLM = "vllm examples/observability/prometheus_grafana/grafana.json 4b5c627"
ADAPTER = "production-stack observability/prom-adapter.yaml a7d2672"
KEDA_CHART = "production-stack helm/templates/scaledobject-vllm.yaml 183a136"
KEDA_TUTORIAL = "production-stack tutorials/assets/keda-scaled-object.yaml a6c01db"
KEDA_OPERATOR = "production-stack operator/internal/controller/vllmruntime_controller.go a6c01db"

OF_THE_MODEL = '{model_name="$model_name"}'
OF_THE_JOB = '{job="$job"}'
ROUTER = "the stack's router supplies it"
NO_LMCACHE = "LMCache's own: SGLang keeps its cache itself (HiCache)"
NO_SUCH_LABEL = "a label `model` that vLLM's series do not have either; the chart's values name another query"


@dataclass(frozen=True)
class Panel:
    source: str
    title: str
    shape: Shape
    series: str
    labels: str = ""
    absent: str = ""  # why an engine does not answer it

    def queries(self, **variables: str) -> list[str]:
        return [shapes.substituted(query, **variables) for query in self.shape(self.series, self.labels)]


def stack(source: str, token_time: str, cache_usage: str) -> Iterator[Panel]:
    """The chart's overview; two of its series changed their names."""
    yield Panel(source, "Available vLLM instances", shapes.value, "vllm:healthy_pods_total", absent=ROUTER)
    yield Panel(source, "Average Latency", shapes.average_since_the_start, "vllm:e2e_request_latency_seconds")
    yield Panel(source, "Request latency distribution", shapes.buckets, "vllm:e2e_request_latency_seconds")
    yield Panel(source, "Current QPS", shapes.value, "vllm:current_qps", absent=ROUTER)
    yield Panel(source, "Average ITL", shapes.average_since_the_start, token_time)
    yield Panel(source, "Request TTFT distribution", shapes.buckets, "vllm:time_to_first_token_seconds")
    yield Panel(source, "Number of Running Requests", shapes.value, "vllm:num_requests_running")
    yield Panel(source, "Number of Pending Requests", shapes.value, "vllm:num_requests_waiting")
    yield Panel(source, "GPU KV Usage Percentage", shapes.value, cache_usage)
    port = '{endpoint="service-port"}'
    yield Panel(source, "GPU KV Cache Hit Rate", shapes.hits_to_queries, "vllm:gpu_prefix_cache", port)
    for part in ("cpu", "memory", "disk"):
        yield Panel(source, f"{part} Usage (%)", shapes.value, f"router_{part}_usage_percent", absent=ROUTER)


def model(source: str, token_time: str, cache_usage: str) -> Iterator[Panel]:
    """vLLM's own dashboard, which the chart took over."""
    for title, shape, series in (
        ("E2E Request Latency", shapes.quantiles_and_mean, "vllm:e2e_request_latency_seconds"),
        ("Token Throughput", shapes.rate, "vllm:prompt_tokens_total"),
        ("Token Throughput", shapes.rate, "vllm:generation_tokens_total"),
        ("Time Per Output Token", shapes.quantiles_and_mean, token_time),
        ("Scheduler State", shapes.value, "vllm:num_requests_running"),
        ("Scheduler State", shapes.value, "vllm:num_requests_waiting"),
        ("Time To First Token Latency", shapes.quantiles_and_mean, "vllm:time_to_first_token_seconds"),
        ("Cache Utilization", shapes.value, cache_usage),
        ("Request Prompt Length", shapes.heat, "vllm:request_prompt_tokens"),
        ("Request Generation Length", shapes.heat, "vllm:request_generation_tokens"),
        ("Finish Reason", shapes.by_reason, "vllm:request_success_total"),
        ("Queue Time", shapes.rate_of_sum, "vllm:request_queue_time_seconds"),
        ("Requests Prefill and Decode Time", shapes.rate_of_sum, "vllm:request_prefill_time_seconds"),
        ("Requests Prefill and Decode Time", shapes.rate_of_sum, "vllm:request_decode_time_seconds"),
        ("Max Generation Token", shapes.rate_of_sum, "vllm:request_max_num_generation_tokens"),
    ):
        yield Panel(source, title, shape, series, OF_THE_MODEL)


PANELS: tuple[Panel, ...] = (
    *stack(STACK, "vllm:request_time_per_output_token_seconds", "vllm:kv_cache_usage_perc"),
    *stack(STACK_BEFORE, "vllm:time_per_output_token_seconds", "vllm:gpu_cache_usage_perc"),
    Panel(STACK_BEFORE, "Number of Swapped Requests", shapes.value, "vllm:num_requests_swapped"),
    *model(MODEL, "vllm:request_time_per_output_token_seconds", "vllm:kv_cache_usage_perc"),
    *model(MODEL_BEFORE, "vllm:time_per_output_token_seconds", "vllm:gpu_cache_usage_perc"),
    Panel(MODEL_BEFORE, "Scheduler State", shapes.value, "vllm:num_requests_swapped", OF_THE_MODEL),
    Panel(MODEL_BEFORE, "Cache Utilization", shapes.value, "vllm:cpu_cache_usage_perc", OF_THE_MODEL),
    *model(VLLM, "vllm:inter_token_latency_seconds", "vllm:kv_cache_usage_perc"),
    Panel(LMCACHE, "Average time to first token", shapes.mean_since_the_start, "vllm:time_to_first_token_seconds"),
    Panel(LMCACHE, "Retrieve speed", shapes.mean_since_the_start, "lmcache:retrieve_speed", absent=NO_LMCACHE),
    Panel(LMCACHE, "Cache hit rate", shapes.rate_a_minute, "lmcache:num_hit_tokens_total", absent=NO_LMCACHE),
    Panel(LMCACHE, "Local CPU cache usage", shapes.value, "lmcache:local_cache_usage", absent=NO_LMCACHE),
    Panel(LMCACHE, "Requested tokens", shapes.value, "lmcache:num_requested_tokens_total", absent=NO_LMCACHE),
)  # fmt: skip

SCALERS: tuple[Panel, ...] = (
    Panel(ADAPTER, "waiting", shapes.by_namespace, "vllm:num_requests_waiting"),
    Panel(ADAPTER, "incoming", shapes.by_namespace, "vllm:num_incoming_requests_total", absent=ROUTER),
    Panel(KEDA_CHART, "default", shapes.value, "vllm:num_requests_waiting", '{model="$model_name"}', NO_SUCH_LABEL),
    Panel(KEDA_TUTORIAL, "waiting", shapes.value, "vllm:num_requests_waiting"),
    Panel(KEDA_OPERATOR, "incoming", shapes.value, "vllm:num_incoming_requests_total", absent=ROUTER),
    Panel(KEDA_OPERATOR, "running", shapes.value, "vllm:num_requests_running", OF_THE_JOB),
    Panel(KEDA_OPERATOR, "generation tokens", shapes.rate_a_minute, "vllm:generation_tokens_total", OF_THE_JOB),
    Panel(KEDA_OPERATOR, "prompt tokens", shapes.rate_a_minute, "vllm:prompt_tokens_total", OF_THE_JOB),
)
