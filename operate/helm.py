"""The values of the production stack's Helm chart to the command lines that its templates render: one engine for each
entry of servingEngineSpec.modelSpec, in a Deployment, a RayCluster or a LeaderWorkerSet. `source` calls `engines`; the
templates read are those of chart 0.1.12.
"""

from __future__ import annotations

import math

from operate import helm_environment
from operate.found import Found, Unreadable
from operate.helm_flags import Style, extra, serve_flags
from operate.kubernetes import expand
from operate.tree import Node

LMCACHE_IMAGE = "lmcache/vllm-openai"  # its binary is not on PATH
DEPLOYMENT = Style(gpu_memory="--gpu_memory_utilization", max_loras="--max_loras", templates="/templates/")
PLAIN = Style(gpu_memory="--gpu-memory-utilization", max_loras="--max-loras")
RAY = Style(PLAIN.gpu_memory, PLAIN.max_loras, ray=True)
LARGEST_PLAIN_NUMBER = 1_000_000


def engines(values: Node, label: str) -> list[Found]:
    serving = values["servingEngineSpec"]
    if switched_off(values):
        return []
    if not isinstance(serving["modelSpec"].value, list) or not serving["modelSpec"]:
        raise Unreadable(f"{serving.path}.modelSpec holds no list of models")
    return [engine for model in serving["modelSpec"] if _enabled(model) for engine in _engines(values, model, label)]


def switched_off(values: Node) -> str:
    """Why the chart starts no engine, if the values say so in as many words."""
    serving = values["servingEngineSpec"]
    if serving["enableEngine"].value is False:
        return f"{serving['enableEngine'].path} is false"
    models = serving["modelSpec"].value
    if isinstance(models, list) and models and not any(_enabled(model) for model in serving["modelSpec"]):
        return f"every model of {serving['modelSpec'].path} has enabled: false"
    return ""


def _enabled(model: Node) -> bool:
    return not (isinstance(model.value, dict) and model.value.get("enabled") is False)


def _engines(values: Node, model: Node, label: str) -> list[Found]:
    if not isinstance(model.value, dict):
        return [Found(f"{label}: {model.path}", problem=f"{model.path} is {model.kind}, not a mapping")]
    source = f"{label}: modelSpec {model['name'].label(model.path)}"
    try:
        if model["raySpec"]["enabled"]:
            return [_ray(values, model, f"{source}, head of its RayCluster")]
        if model["lwsSpec"]["enabled"]:
            return [_member(values, model, source, role) for role in ("leader", "worker")]
        return [_deployment(values, model, source)]
    except Unreadable as error:
        return [Found(source, problem=str(error))]


def _deployment(values: Node, model: Node, source: str) -> Found:
    argv = [*_start(model), *_address(values), *serve_flags(model, DEPLOYMENT)]
    env, notes = helm_environment.deployment(values, model)
    return _found(source, model, argv, env, notes)


def _ray(values: Node, model: Node, source: str) -> Found:
    """The head's start script waits for Ray, then runs this."""
    ray = ("--distributed-executor-backend", "ray")
    argv = ["vllm", "serve", model["modelURL"].text(), *_address(values), *ray, *serve_flags(model, RAY)]
    env, notes = helm_environment.ray(values, model)
    return _found(source, model, argv, env, notes)


def _member(values: Node, model: Node, source: str, role: str) -> Found:
    config = model["vllmConfig"]
    stages = config["pipelineParallelSize"].text() if "pipelineParallelSize" in config else "$(LWS_GROUP_SIZE)"
    argv = [
        *_start(model),
        *(_address(values) if role == "leader" else ()),
        *serve_flags(model, PLAIN),
        *("--distributed-executor-backend", "mp", "--pipeline-parallel-size", stages),
        *("--nnodes", "$(LWS_GROUP_SIZE)", "--node-rank", "$(LWS_WORKER_INDEX)"),
        *("--master-addr", "$(LWS_LEADER_ADDRESS)"),
        *(("--headless",) if role == "worker" else ()),
    ]
    env, notes = helm_environment.group(values, model, role)
    return _found(f"{source}, {role} of its LeaderWorkerSet", model, argv, env, notes)


def _start(model: Node) -> tuple[str, ...]:
    program = "/opt/venv/bin/vllm" if model["repository"].value == LMCACHE_IMAGE else "vllm"
    return (program, "serve", model["modelURL"].text())


def _address(values: Node) -> tuple[str, ...]:
    port = values["servingEngineSpec"]["containerPort"]
    return ("--host", "0.0.0.0", "--port", port.text() if port else "8000")


def _found(source: str, model: Node, argv: list[str], env: dict[str, str], notes: list[str]) -> Found:
    words, unknown = expand(argv, env)
    return Found(source, words, env, (*notes, *unknown, *_large_numbers(model)))


def _large_numbers(model: Node) -> list[str]:
    """Helm 3 reads every number of a values file as a float, and `quote` writes a large one with an exponent."""
    config = model["vllmConfig"]
    nodes = [config[key] for key in (config.value or {})] + list(extra(config))
    return [
        f"{node.path} is a large number without quotes: Helm 3 writes it as {_as_float(node.value)}, which vLLM does"
        " not read; put it in quotes"
        for node in nodes
        if type(node.value) is int and abs(node.value) >= LARGEST_PLAIN_NUMBER
    ]


def _as_float(number: int) -> str:
    exponent = math.floor(math.log10(abs(number)))
    digits = str(number).rstrip("0").lstrip("-")
    mantissa = digits[0] + (f".{digits[1:]}" if digits[1:] else "")
    return f"{'-' if number < 0 else ''}{mantissa}e+{exponent:02}"
