"""A VLLMRuntime (production-stack.vllm.ai/v1alpha1) to the command line that the production stack's operator renders.
`source` calls `engine`.
"""

from __future__ import annotations

from operate.found import Found, Unreadable, stand_in
from operate.kubernetes import expand
from operate.tree import Node

KIND = "VLLMRuntime"
PROGRAM = ("/opt/venv/bin/vllm", "serve")
CHAT_TEMPLATE = "/etc/chat-template.json"


def engine(document: Node, label: str) -> Found:
    source = f"{label}: {KIND} {document['metadata']['name'].label('without a name')}"
    try:
        spec = document["spec"]
        env = _environment(spec)
        argv, notes = expand([*PROGRAM, *_arguments(spec)], env)
    except Unreadable as error:
        return Found(source, problem=str(error))
    return Found(source, argv, env, tuple(notes))


def _arguments(spec: Node) -> list[str]:
    model, config, cache = spec["model"], spec["vllmConfig"], spec["lmCacheConfig"]
    flags = [model["modelURL"].exact(), "--host", "0.0.0.0", "--port", _number(config["port"]) or "8000"]
    if model["enableLoRA"]:
        flags.append("--enable-lora")
    if model["enableTool"]:
        flags.append("--enable-auto-tool-choice")
    if model["toolCallParser"]:
        flags += ["--tool-call-parser", model["toolCallParser"].exact()]
    flags.append("--enable-chunked-prefill" if config["enableChunkedPrefill"] else "--no-enable-chunked-prefill")
    flags.append("--enable-prefix-caching" if config["enablePrefixCaching"] else "--no-enable-prefix-caching")
    named = (
        ("--max-model-len", _number(model["maxModelLen"])),
        ("--dtype", model["dtype"].exact() if model["dtype"] else ""),
        ("--tensor-parallel-size", _number(config["tensorParallelSize"])),
        ("--max-num-seqs", _number(model["maxNumSeqs"])),
        ("--gpu_memory_utilization", _text(config["gpuMemoryUtilization"])),
        ("--max_loras", _number(config["maxLoras"])),
    )
    flags += [part for flag, value in named if value for part in (flag, value)]
    flags += [argument.exact() for argument in config["extraArgs"]]
    if model["chatTemplate"]:
        flags += ["--chat-template", CHAT_TEMPLATE]
    if cache["enabled"]:
        connector = "LMCacheConnectorV1" if config["v1"] else "LMCacheConnector"
        flags += ["--kv-transfer-config", f'{{"kv_connector":"{connector}","kv_role":"kv_both"}}']
    return flags


def _environment(spec: Node) -> dict[str, str]:
    model, config, cache = spec["model"], spec["vllmConfig"], spec["lmCacheConfig"]
    env = {"VLLM_USE_V1": "1" if config["v1"] else "0"}
    if model["enableLoRA"]:
        env["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] = "True"
    if cache["enabled"]:
        # The resource's own defaults stand in for a size that is left out.
        cpu = cache["cpuOffloadingBufferSize"].exact() if "cpuOffloadingBufferSize" in cache else "4Gi"
        disk = cache["diskOffloadingBufferSize"].exact() if "diskOffloadingBufferSize" in cache else "8Gi"
        env |= {"LMCACHE_LOG_LEVEL": "DEBUG", "LMCACHE_USE_EXPERIMENTAL": "True", "VLLM_RPC_TIMEOUT": "1000000"}
        env |= {"LMCACHE_LOCAL_CPU": "True", "LMCACHE_MAX_LOCAL_CPU_SIZE": cpu} if cpu else {}
        env |= {"LMCACHE_LOCAL_DISK": "True", "LMCACHE_MAX_LOCAL_DISK_SIZE": disk} if disk else {}
        if cache["remoteUrl"]:
            env |= {
                "LMCACHE_REMOTE_URL": cache["remoteUrl"].exact(),
                "LMCACHE_REMOTE_SERDE": _text(cache["remoteSerde"]),
            }
    env |= {entry["name"].exact(): _text(entry["value"]) for entry in config["env"]}
    secret = model["hfTokenSecret"]
    if name := secret["hfTokenSecretName"] or secret["name"]:  # the second in versions before 2025-08
        env["HF_TOKEN"] = stand_in("secret", name.label("?"))
    return env


def _text(node: Node) -> str:
    return "" if node.value is None else node.exact()


def _number(node: Node) -> str:
    """Go's zero is what is left out."""
    if node.value is None:
        return ""
    if type(node.value) is not int:
        raise Unreadable(f"{node.path} is {node.kind} where the resource takes a whole number")
    return str(node.value) if node.value > 0 else ""
