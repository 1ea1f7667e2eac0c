"""The environment that the chart's templates give an engine, as far as values tell it. `helm` calls one function for
each template; what a Secret holds is unknown here, and a stand-in takes its place.
"""

from __future__ import annotations

from operate.found import stand_in
from operate.kubernetes import env_from, variables
from operate.tree import Node

RELEASE = "vllm"  # the name that the stack's documents install it by; values do not tell it
POD_IP = stand_in("field", "status.podIP")
POD_NAME = stand_in("field", "metadata.name")
# Of lmcacheConfig with enablePD. The chart's `ternary "True" "False"` takes the first and the last of them.
NIXL = {
    "enableNixl": "LMCACHE_ENABLE_NIXL",
    "nixlRole": "LMCACHE_NIXL_ROLE",
    "nixlPeerHost": "LMCACHE_NIXL_RECEIVER_HOST",
    "nixlPeerPort": "LMCACHE_NIXL_RECEIVER_PORT",
    "nixlBufferSize": "LMCACHE_NIXL_BUFFER_SIZE",
    "nixlBufferDevice": "LMCACHE_NIXL_BUFFER_DEVICE",
    "nixlEnableGc": "LMCACHE_NIXL_ENABLE_GC",
}
CONTROLLER = {
    "enableController": "LMCACHE_ENABLE_CONTROLLER",
    "instanceId": "LMCACHE_LMCACHE_INSTANCE_ID",
    "workerPorts": "LMCACHE_LMCACHE_WORKER_PORTS",
    "p2pHost": "LMCACHE_P2P_HOST",
    "p2pInitPorts": "LMCACHE_P2P_INIT_PORTS",
    "workerHeartbeatTime": "LMCACHE_LMCACHE_WORKER_HEARTBEAT_TIME",
}
ROUTER_PORTS = {"controllerPort": "LMCACHE_CONTROLLER_PULL_URL", "controllerReplyPort": "LMCACHE_CONTROLLER_REPLY_URL"}


def deployment(values: Node, model: Node) -> tuple[dict[str, str], list[str]]:
    env = {"PYTHONHASHSEED": "123", "HF_HOME": _hf_home(values, model), "POD_IP": POD_IP, **_engine_of(model)}
    return _completed(env, values, model)


def group(values: Node, model: Node, role: str) -> tuple[dict[str, str], list[str]]:
    """Of a LeaderWorkerSet, whose controller sets the LWS_ variables."""
    env = {
        "LWS_GROUP_SIZE": model["lwsSpec"]["size"].text(),
        "LWS_WORKER_INDEX": "0" if role == "leader" else "1",
        "LWS_LEADER_ADDRESS": "leader-0.group.namespace",  # the controller's: a host, whatever its name
        "PYTHONHASHSEED": "123",
        "VLLM_HOST_IP": POD_IP,
        "HF_HOME": _hf_home(values, model),
        **_engine_of(model),
    }
    return _completed(env, values, model)


def ray(values: Node, model: Node) -> tuple[dict[str, str], list[str]]:
    replicas = model["replicaCount"].value
    env = {
        "VLLM_HOST_IP": POD_IP,
        "EXPECTED_NODES": str((replicas if isinstance(replicas, int) else 0) + 1),
        "HF_HOME": "/data" if "pvcStorage" in model else "/tmp",  # noqa: S108 - the chart's
    }
    if config := model["vllmConfig"]:
        env["VLLM_USE_V1"] = config["v1"].text() if "v1" in config else "0"
    return _completed(env, values, model)


def _completed(env: dict[str, str], values: Node, model: Node) -> tuple[dict[str, str], list[str]]:
    serving = values["servingEngineSpec"]
    if model["hf_token"]:
        env["HF_TOKEN"] = _secret(model["hf_token"])
    if _is_given(serving["vllmApiKey"]):
        env["VLLM_API_KEY"] = _secret(serving["vllmApiKey"])
    for entries in (serving["env"], model["env"]):
        env |= variables(entries, known=env)
    if model["lmcacheConfig"]:
        env |= _lmcache(values, model["lmcacheConfig"])
    # The chart's ConfigMap is made of `configs`; Kubernetes lets `env` win over `envFrom`.
    configs = {str(key): serving["configs"][key].text() for key in serving["configs"].value or {}}
    notes: list[str] = []
    if secret := model["envFromSecret"]["name"]:
        _, notes = env_from([("secret", secret.text())], {})
    return {**configs, **env}, notes


def _engine_of(model: Node) -> dict[str, str]:
    config = model["vllmConfig"]
    if not config:
        return {}
    if str(config["v0"].value) == "1":
        return {"VLLM_USE_V1": "0"}
    folder = config["prometheusMultiprocDir"]
    return {"PROMETHEUS_MULTIPROC_DIR": folder.text() if folder else "/tmp"}  # noqa: S108 - the chart's


def _hf_home(values: Node, model: Node) -> str:
    if values["sharedPvcStorage"]["enabled"]:
        return "/data/shared-pvc-storage"
    return "/data" if "pvcStorage" in model else "/tmp"  # noqa: S108 - the chart's


def _is_given(key: Node) -> bool:
    return bool(key) and (not isinstance(key.value, dict) or bool(key["secretName"] and key["secretKey"]))


def _secret(node: Node) -> str:
    """A text goes to the release's own Secret, a mapping names another."""
    name = node["secretName"].label("") if isinstance(node.value, dict) else f"{RELEASE}-secrets"
    return stand_in("secret", name)


def _lmcache(values: Node, cache: Node) -> dict[str, str]:
    env: dict[str, str] = {}
    if cache["enabled"]:
        level = cache["logLevel"].text() if cache["logLevel"] else "INFO"
        env |= {"LMCACHE_USE_EXPERIMENTAL": "True", "VLLM_RPC_TIMEOUT": "1000000", "LMCACHE_LOG_LEVEL": level}
    if "cudaVisibleDevices" in cache:
        env["CUDA_VISIBLE_DEVICES"] = cache["cudaVisibleDevices"].text()
    if cache["enablePD"]:
        env |= {"LMCACHE_LOCAL_CPU": "False", "LMCACHE_MAX_LOCAL_CPU_SIZE": "0"}
        env |= {"LMCACHE_REMOTE_SERDE": "NULL", "UCX_TLS": "cuda_ipc,cuda_copy,tcp", **_named(cache, NIXL)}
    if _whole(cache["cpuOffloadingBufferSize"]) > 0:
        env |= {"LMCACHE_LOCAL_CPU": "True", "LMCACHE_MAX_LOCAL_CPU_SIZE": cache["cpuOffloadingBufferSize"].text()}
    env |= _named(cache, {"diskOffloadingBufferSize": "LMCACHE_MAX_LOCAL_DISK_SIZE"})
    if (server := values["cacheserverSpec"]) and server["enabled"]:
        port = server["servicePort"].text() if server["servicePort"] else "81"
        env["LMCACHE_REMOTE_URL"] = f"lm://{RELEASE}-cache-server-service:{port}"
        if server["serde"]:
            env["LMCACHE_REMOTE_SERDE"] = server["serde"].text()
    env["LMCACHE_LMCACHE_INSTANCE_ID"] = POD_NAME
    router = {name: f"{RELEASE}-router-service:{port}" for name, port in _named(cache, ROUTER_PORTS).items()}
    return {**env, **_named(cache, CONTROLLER), **router}


def _named(cache: Node, names: dict[str, str]) -> dict[str, str]:
    found = {name: cache[key] for key, name in names.items() if key in cache}
    return {name: str(node.value) if isinstance(node.value, bool) else node.text() for name, node in found.items()}


def _whole(node: Node) -> int:
    """As Sprig's `int`: what is no whole number is 0."""
    try:
        return int(node.value or 0)
    except (ValueError, TypeError):
        return 0
