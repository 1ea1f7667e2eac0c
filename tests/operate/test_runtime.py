"""What the production stack's operator renders of a VLLMRuntime."""

from __future__ import annotations

from typing import Any

import pytest

from tests.operate.conftest import Engines
from tests.operate.test_helm import known, recorded

SAMPLE = {
    "model": {
        "modelURL": "meta-llama/Llama-3.1-8B-Instruct",
        "enableLoRA": True,
        "enableTool": False,
        "toolCallParser": "",
        "maxModelLen": 4096,
        "dtype": "bfloat16",
        "maxNumSeqs": 32,
        "hfTokenSecret": {"hfTokenSecretName": "huggingface-token", "hfTokenKeyName": "token"},
    },
    "vllmConfig": {
        "enableChunkedPrefill": False,
        "enablePrefixCaching": False,
        "tensorParallelSize": 1,
        "gpuMemoryUtilization": "0.8",
        "maxLoras": 4,
        "v1": True,
        "port": 8000,
        "env": [{"name": "HF_HOME", "value": "/data"}],
    },
    "lmCacheConfig": {
        "enabled": True,
        "cpuOffloadingBufferSize": "15",
        "diskOffloadingBufferSize": "0",
        "remoteUrl": "lm://cacheserver-sample.default.svc.cluster.local:80",
        "remoteSerde": "naive",
    },
}
AUTOSCALING = {
    "model": {
        "modelURL": "meta-llama/Llama-3.1-8B-Instruct",
        "maxModelLen": 4096,
        "dtype": "bfloat16",
        "maxNumSeqs": 32,
    },
    "vllmConfig": {
        "enableChunkedPrefill": True,
        "enablePrefixCaching": True,
        "tensorParallelSize": 1,
        "gpuMemoryUtilization": "0.9",
        "v1": True,
        "port": 8000,
    },
}


def runtime(spec: Any) -> dict[str, Any]:
    kind = {"apiVersion": "production-stack.vllm.ai/v1alpha1", "kind": "VLLMRuntime", "metadata": {"name": "sample"}}
    return {**kind, "spec": spec}


@pytest.mark.parametrize(("spec", "name"), [(SAMPLE, "vllmruntime.yaml"), (AUTOSCALING, "autoscaling.yaml")])
def test_a_runtime_gives_the_command_line_that_the_operator_renders(spec: Any, name: str, engines: Engines) -> None:
    (found,) = engines(runtime(spec))
    expected = recorded(name)
    assert list(found.argv) == expected["words"]
    assert set(found.env) == set(expected["env"])
    assert known(dict(found.env)) == known(expected["env"])
    assert found.source.endswith("VLLMRuntime sample")


def test_all_that_a_runtime_can_set_stands_in_the_operators_order(engines: Engines) -> None:
    model = {"modelURL": "m", "enableTool": True, "toolCallParser": "hermes", "chatTemplate": "{{ x }}"}
    spec = {"model": model, "vllmConfig": {"extraArgs": ["--seed", "7"]}, "lmCacheConfig": {"enabled": True}}
    (found,) = engines(runtime(spec))
    switches = ("--enable-auto-tool-choice", "--tool-call-parser", "hermes", "--no-enable-chunked-prefill")
    transfer = '{"kv_connector":"LMCacheConnector","kv_role":"kv_both"}'
    assert found.argv == (
        *("/opt/venv/bin/vllm", "serve", "m", "--host", "0.0.0.0", "--port", "8000", *switches),
        *("--no-enable-prefix-caching", "--seed", "7", "--chat-template", "/etc/chat-template.json"),
        *("--kv-transfer-config", transfer),
    )
    assert found.env["LMCACHE_MAX_LOCAL_CPU_SIZE"] == "4Gi"


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({}, "modelURL"),
        ({"model": {"modelURL": ["a"]}}, "modelURL"),
        ({"model": {"modelURL": "m", "maxModelLen": "4096"}}, "maxModelLen"),
        ({"model": {"modelURL": "m"}, "vllmConfig": {"gpuMemoryUtilization": 0.8}}, "gpuMemoryUtilization"),
        ({"model": {"modelURL": "m"}, "vllmConfig": {"extraArgs": [8000]}}, "extraArgs[0]"),
        ({"model": {"modelURL": "m"}, "vllmConfig": {"env": [{"name": "A", "value": 1}]}}, "env[0].value"),
        (None, "modelURL"),
        ("text", "spec"),
    ],
)
def test_a_runtime_that_kubernetes_would_not_take_is_named(spec: Any, path: str, engines: Engines) -> None:
    (found,) = engines(runtime(spec))
    assert path in found.problem


def test_a_list_of_runtimes_gives_each(engines: Engines) -> None:
    items = [runtime(SAMPLE), runtime(AUTOSCALING)]
    assert len(engines({"kind": "VLLMRuntimeList", "apiVersion": "v1", "items": items})) == 2
