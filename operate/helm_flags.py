"""The flags that the chart's templates make of one modelSpec, in the template's order. `helm` calls `serve_flags`;
the three templates differ in spelling only, which a `Style` holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from operate.tree import Node

LMCACHE = "LMCacheConnectorV1"
LMCACHE_OF_V0 = "LMCacheConnector"


@dataclass(frozen=True, slots=True)
class Style:
    gpu_memory: str
    max_loras: str
    templates: str = ""  # the folder that the chat template is mounted in
    ray: bool = False


def serve_flags(model: Node, style: Style) -> list[str]:
    """What follows the address."""
    flags = []
    if model["enableLoRA"]:
        flags.append("--enable-lora")
    if model["enableTool"]:
        flags.append("--enable-auto-tool-choice")
    if model["toolCallParser"]:
        flags += ["--tool-call-parser", model["toolCallParser"].text()]
    if model["vllmConfig"]:
        flags += _of_config(model["vllmConfig"], style)
    revision = model["modelRevision"] or model["vllmConfig"]["revision"]
    if revision:
        flags += ["--revision", revision.text()]
    if model["lmcacheConfig"] and model["lmcacheConfig"]["enabled"]:
        flags += ["--kv-transfer-config", _transfer(model, style)]
    if model["chatTemplate"]:
        flags += ["--chat-template", style.templates + model["chatTemplate"].text()]
    return flags


def extra(config: Node) -> Iterator[Node]:
    return iter(config["extraArgs"])


def _of_config(config: Node, style: Style) -> list[str]:
    flags = []
    if "enableChunkedPrefill" in config:
        flags.append("--enable-chunked-prefill" if config["enableChunkedPrefill"] else "--no-enable-chunked-prefill")
    if config["enablePrefixCaching"]:
        flags.append("--enable-prefix-caching")
    elif not style.ray:
        flags.append("--no-enable-prefix-caching")
    named = (
        ("maxModelLen", "--max-model-len"),
        ("dtype", "--dtype"),
        ("tensorParallelSize", "--tensor-parallel-size"),
        *((("pipelineParallelSize", "--pipeline-parallel-size"),) if style.ray else ()),
        ("maxNumSeqs", "--max-num-seqs"),
        ("gpuMemoryUtilization", style.gpu_memory),
        ("maxLoras", style.max_loras),
        *(() if style.ray else (("runner", "--runner"), ("convert", "--convert"))),
    )
    for key, flag in named:
        if key in config:
            flags += [flag, config[key].text()]
    return [*flags, *(argument.text() for argument in extra(config))]


def _transfer(model: Node, style: Style) -> str:
    config, cache = model["vllmConfig"], model["lmcacheConfig"]
    if style.ray:
        connector = LMCACHE if _is_one(config["v1"]) else LMCACHE_OF_V0
        return f'{{"kv_connector":"{connector}","kv_role":"kv_both"}}'
    role = cache["kvRole"].text() if cache["kvRole"] else "kv_both"
    if "enablePD" in cache:
        port = f'"{cache["nixlRole"].text()}"' if cache["nixlRole"].value is not None else ""
        more = f'{{"discard_partial_chunks": false, "lmcache_rpc_port": {port}}}'
        return f'{{"kv_connector":"{LMCACHE}","kv_role":"{role}","kv_connector_extra_config":{more}}}'
    connector = LMCACHE_OF_V0 if _is_one(config["v0"]) else LMCACHE
    return f'{{"kv_connector":"{connector}","kv_role":"{role}"}}'


def _is_one(node: Node) -> bool:
    return str(node.value) == "1"
