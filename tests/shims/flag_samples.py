"""Valid values for every flag of vLLM's catalog, as words of a command line: both forms of a switch, each choice,
numbers, and for texts and JSON what stands below. A flag whose values cannot be guessed must be listed here.
"""

from __future__ import annotations

from collections.abc import Iterator

from shims.catalog import CatalogFlag, catalogs
from shims.values.numerics import KV_CACHE_DTYPE, QUANTIZATION
from shims.values.parsers import REASONING, TOOL_CALL

NUMBERS = {
    "int": ("1", "2", "8"),
    "float": ("0.5", "0.9"),
    "human_int": ("4096", "32k", "32K"),
    "human_int_or_auto": ("4096", "32K", "auto", "-1"),
}
# Numbers of which not every one is valid.
SPECIAL_NUMBERS: dict[str, tuple[str, ...]] = {
    "--port": ("8000", "18000"),
    "--node-rank": ("0",),
    "--nnodes": ("1", "2"),
    "--ssl-cert-reqs": ("0",),
    "--data-parallel-rank": ("0",),
    "--lora-extra-vocab-size": ("256", "512"),
    "--grpc-port": ("50051",),
}
TEXTS: dict[str, tuple[tuple[str, ...], ...]] = {
    "--config": (),  # tests/shims/test_config_file.py
    "--lora-modules": (
        ("a=/adapters/a",),
        ("a=/adapters/a", "b=/adapters/b"),
        ('{"name": "a", "path": "/adapters/a", "base_model_name": "m"}',),
    ),
    "--chat-template": (("/templates/chat.jinja",), ("{{ messages[0].content }}",)),
    "--default-chat-template-kwargs": (('{"enable_thinking": false}',),),
    "--reasoning-effort-map": (('{"high": "medium"}',),),
    "--response-role": (("assistant",), ("bot",)),
    "--tool-call-parser": tuple((name,) for name in (*TOOL_CALL, "granite", "xlam")),
    "--reasoning-parser": tuple((name,) for name in (*REASONING, "granite", "")),
    "--tool-parser-plugin": (("/plugins/tools.py",),),
    "--tool-server": (("demo",), ("localhost:9001,localhost:9002",)),
    "--cohere-format": (("cmd4",),),
    "--fingerprint-value": (("abc",),),
    "--host": (("0.0.0.0",), ("::",), ("localhost",)),
    "--uds": (("/run/vllm.sock",),),
    "--disable-access-log-for-endpoints": (("/health,/metrics",),),
    "--allowed-origins": (('["*"]',), ('["https://a.example", "https://b.example"]',)),
    "--allowed-methods": (('["GET"]',),),
    "--allowed-headers": (('["X-A"]',),),
    "--api-key": (("sk-a",), ("sk-a", "sk-b")),
    "--ssl-keyfile": (("/tls/tls.key", "--ssl-certfile", "/tls/tls.crt"),),
    "--ssl-certfile": (("/tls/tls.crt", "--ssl-keyfile", "/tls/tls.key"),),
    "--ssl-ca-certs": (("/tls/ca.crt", "--ssl-keyfile", "/tls/tls.key", "--ssl-certfile", "/tls/tls.crt"),),
    "--ssl-ciphers": (("TLSv1", "--ssl-keyfile", "/tls/tls.key", "--ssl-certfile", "/tls/tls.crt"),),
    "--root-path": (("/api",),),
    "--middleware": (("my.module.Class",),),
    "--model": (("org/name",),),
    "--tokenizer": (("org/tokenizer",),),
    "--tokenizer-mode": (("auto",), ("hf",), ("slow",), ("mistral",), ("custom",)),
    "--hf-config-path": (("/config",),),
    "--allowed-local-media-path": (("/media",),),
    "--allowed-media-domains": (("a.example", "b.example"),),
    "--revision": (("main",),),
    "--code-revision": (("main",),),
    "--tokenizer-revision": (("main",),),
    "--quantization": tuple((name,) for name in (*QUANTIZATION, "experts_int8")),
    "--quantization-config": (('{"a": 1}',),),
    "--served-model-name": (("a",), ("a", "b")),
    "--config-format": (("auto",), ("hf",), ("mistral",), ("x",)),
    "--hf-token": ((), ("hf_abc",)),
    "--hf-overrides": (('{"max_position_embeddings": 8192}',), ("{}",)),
    "--model-class-overrides": (("{}",), ('{"a": "b"}',)),
    "--pooler-config": (("{}",), ('{"pooling_type": "MEAN"}',)),
    "--generation-config": (("auto",), ("vllm",), ("/generation",)),
    "--override-generation-config": (('{"temperature": 0.5, "top_k": 20}',),),
    "--sleep-mode-backend": (("cumem",),),
    "--sleep-preserve-parameter-names": (("a",),),
    "--model-impl": (("auto",), ("vllm",), ("transformers",), ("terratorch",)),
    "--logits-processors": (("a.b:C",),),
    "--io-processor-plugin": (("x",),),
    "--load-format": (("auto",), ("safetensors",), ("dummy",), ("runai_streamer",), ("tensorizer",)),
    "--download-dir": (("/models",),),
    "--model-loader-extra-config": (('{"enable_multithread_load": true, "num_threads": 8}',), ("{}",)),
    "--ignore-patterns": (("original/**/*",), ("*.bin",)),
    "--pt-load-map-location": (("cpu",), ('{"": "cuda"}',)),
    "--attention-backend": (("FLASH_ATTN",), ("FLASHINFER",), ("TRITON_ATTN",), ("ROCM_AITER_FA",), ("X",)),
    "--mamba-backend": (("triton",), ("flashinfer",)),
    "--reasoning-parser-plugin": (("/plugins/r.py",),),
    "--distributed-executor-backend": (("mp",), ("uni",), ("ray",), ("a.b.C",)),
    "--master-addr": (("127.0.0.1",), ("10.0.0.1",)),
    "--numa-bind-nodes": (("0", "1"),),
    "--numa-bind-cpus": (("0-3",),),
    "--device-ids": (("0,1",),),
    "--data-parallel-address": (("127.0.0.1",),),
    "--data-parallel-backend": (("mp",), ("ray",)),
    "--eplb-config": (('{"step_interval": 1000, "num_redundant_experts": 2, "window_size": 500}',),),
    "--worker-cls": (("auto",), ("a.B",)),
    "--worker-extension-cls": (("a.B",),),
    "--fault-tolerance-config": (('{"engine_recovery_timeout_sec": 60}',),),
    "--kv-cache-dtype": tuple((name,) for name in (*KV_CACHE_DTYPE, "turboquant_k8v4")),
    "--kv-cache-dtype-skip-layers": (("0", "1"),),
    "--cpu-offload-params": (("a",),),
    "--offload-params": (("a",),),
    "--limit-mm-per-prompt": (('{"image": 2}',), ('{"image": {"count": 1, "width": 512}}',), ("{}",)),
    "--media-io-kwargs": (("{}",), ('{"video": {"num_frames": 8}}',)),
    "--mm-processor-kwargs": (("{}",), ('{"min_pixels": 100}',)),
    "--mm-encoder-attn-backend": (("FLASH_ATTN",), ("TORCH_SDPA",)),
    "--mm-encoder-fp8-scale-path": (("/scales",),),
    "--mm-encoder-fp8-scale-save-path": (("/scales",),),
    "--lora-target-modules": (("q_proj", "v_proj"), ("odd_proj",)),
    "--default-mm-loras": (('{"image": "/adapters/a"}',),),
    "--logging-config": (('{"log_level": "DEBUG"}',),),
    "--log-config-file": (("/etc/logging.json",),),
    "--show-hidden-metrics-for-version": (("0.10",),),
    "--otlp-traces-endpoint": (("http://otel:4317",), ("otel:4317",)),
    "--custom-histogram-buckets": (('{"time_to_first_token": [0.1, 1.0], "request_tokens": [10, 100]}',),),
    "--scheduler-cls": (("a.B",),),
    "--ir-op-priority": (('{"rms_norm": ["native"]}',),),
    "--speculative-config": (
        ('{"method": "eagle", "model": "org/draft", "num_speculative_tokens": 3}',),
        ('{"method": "eagle3", "model": "org/draft", "num_speculative_tokens": 3, "quantization": "fp8"}',),
        ('{"method": "mtp", "num_speculative_tokens": 1}',),
        ('{"method": "deepseek_mtp", "num_speculative_tokens": 2}',),
        ('{"method": "ngram", "num_speculative_tokens": 4, "prompt_lookup_max": 4}',),
        ('{"method": "draft_model", "model": "org/draft", "num_speculative_tokens": 5}',),
        ('{"method": "medusa", "model": "org/draft", "num_speculative_tokens": 5}',),
        ('{"model": "org/draft", "num_speculative_tokens": 5}',),
    ),
    "--spec-method": (("ngram", "--spec-tokens", "4"), ("mtp", "--spec-tokens", "1")),
    "--spec-model": (("org/draft", "--spec-method", "eagle3", "--spec-tokens", "3"),),
    "--spec-tokens": (("3", "--spec-method", "mtp"),),
    "--watermark-config": (('{"a": 1}',),),
    "--diffusion-config": (('{"a": 1}',),),
    "--kv-transfer-config": (
        ('{"kv_connector": "LMCacheConnectorV1", "kv_role": "kv_both"}',),
        ('{"kv_connector": "OffloadingConnector", "kv_role": "kv_both"}',),
        ('{"kv_connector": "NixlConnector", "kv_role": "kv_consumer"}',),
    ),
    "--kv-events-config": (
        ('{"enable_kv_cache_events": true, "publisher": "zmq", "endpoint": "tcp://*:5557"}',),
        ('{"enable_kv_cache_events": false}',),
    ),
    "--ec-transfer-config": (('{"ec_role": "ec_both"}',),),
    "--ec-manager-config": (("{}",),),
    "--compilation-config": (
        ('{"level": 3}',),
        ('{"cudagraph_mode": "NONE"}',),
        ('{"cudagraph_mode": "FULL_DECODE_ONLY", "cudagraph_capture_sizes": [1, 2, 4]}',),
        ("3",),
        ("{}",),
    ),
    "--attention-config": (('{"backend": "FLASHINFER"}',),),
    "--engram-config": (('{"a": 1}',),),
    "--reasoning-config": (('{"a": "b"}',),),
    "--kernel-config": (('{"moe_backend": "triton"}',), ("{}",)),
    "--additional-config": (("{}",), ('{"a": 1}',)),
    "--structured-outputs-config": (
        ('{"backend": "guidance"}',),
        ('{"backend": "xgrammar", "disable_any_whitespace": true, "reasoning_parser": "qwen3"}',),
    ),
    "--aux-output-config": (('{"enable_return_routed_experts": true}',),),
    "--profiler-config": (('{"profiler": "torch", "torch_profiler_dir": "/profiles"}',),),
    "--watchdog-config": (('{"timeout": 600}',),),
    "--optimization-level": (("0",), ("2",), ("3",)),
    "--weight-transfer-config": (('{"backend": "nccl"}',),),
    "--rope-scaling": (('{"rope_type": "yarn", "factor": 4.0}',),),
    "--override-pooler-config": (('{"pooling_type": "MEAN"}',),),
    "--logits-processor-pattern": ((".*",),),
    "--override-attention-dtype": (("bfloat16",),),
    "--guided-decoding-backend": (("xgrammar",), ("outlines",), ("guidance:no-fallback",), ("lm-format-enforcer",)),
    "--guided-decoding-disable-fallback": (("True",),),
    "--guided-decoding-disable-any-whitespace": (("True",),),
    "--guided-decoding-disable-additional-properties": (("True",),),
    "--prompt-adapters": (("a=/p",),),
    "--tokenizer-pool-type": (("ray",),),
    "--tokenizer-pool-extra-config": (('{"a": 1}',),),
    "--qlora-adapter-name-or-path": (("/q",),),
    "--override-neuron-config": (('{"a": 1}',),),
    "--long-lora-scaling-factors": (("1.0", "2.0"),),
    "--cudagraph-capture-sizes": (("1", "2", "4"),),
    "--cuda-graph-sizes": (("64",), ("1", "2", "4")),
}


def samples(flag: CatalogFlag) -> Iterator[tuple[str, ...]]:
    if flag.name in TEXTS:
        yield from ((flag.name, *values) for values in TEXTS[flag.name])
    elif flag.arity == "switch":
        yield from ((spelling,) for spelling in (*flag.spellings, *flag.negations) if _means(spelling, flag))
    elif flag.choices:
        yield from ((flag.name, str(choice)) for choice in flag.choices)
    elif flag.name in SPECIAL_NUMBERS:
        yield from ((flag.name, value) for value in SPECIAL_NUMBERS[flag.name])
    elif flag.type in NUMBERS:
        yield from ((flag.name, value) for value in NUMBERS[flag.type])
    else:
        raise AssertionError(f"{flag.name}: no sample values in {__name__}")


def _means(spelling: str, flag: CatalogFlag) -> bool:
    """A negation of one flag that is another's own name is that one's."""
    return catalogs()[0].by_spelling[spelling] is flag


def every_sample() -> list[tuple[str, ...]]:
    return [words for flag in catalogs()[0].flags for words in samples(flag)]
