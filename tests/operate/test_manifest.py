"""Which containers of a manifest run vLLM, and with what."""

from __future__ import annotations

from typing import Any

import pytest

from operate import source
from operate.found import Unreadable
from tests.operate.conftest import Engines, Write

SERVE = ["vllm", "serve", "org/m", "--port", "8000"]
API_SERVER = ["python3", "-m", "vllm.entrypoints.openai.api_server", "--model", "org/m"]


def pod(*containers: Any, **more: Any) -> dict[str, Any]:
    return {"containers": list(containers), **more}


def document(spec: Any, kind: str = "Pod", name: str = "engine") -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def container(**fields: Any) -> dict[str, Any]:
    return {"name": "vllm", "image": "vllm/vllm-openai:v0.11.0", **fields}


def deployment(*containers: Any, kind: str = "Deployment") -> dict[str, Any]:
    return document({"template": {"spec": pod(*containers)}}, kind)


@pytest.mark.parametrize(
    ("spec", "kind"),
    [
        (pod(container(command=SERVE)), "Pod"),
        *[
            ({"template": {"spec": pod(container(command=SERVE))}}, k)
            for k in ("Deployment", "StatefulSet", "DaemonSet")
        ],
        *[({"template": {"spec": pod(container(command=SERVE))}}, kind) for kind in ("Job", "ReplicaSet")],
        ({"jobTemplate": {"spec": {"template": {"spec": pod(container(command=SERVE))}}}}, "CronJob"),
        (
            {"leaderWorkerTemplate": {"size": 1, "leaderTemplate": {"spec": pod(container(command=SERVE))}}},
            "LeaderWorkerSet",
        ),
        ({"predictor": pod(container(command=SERVE))}, "InferenceService"),
        ({"template": pod(container(command=SERVE))}, "LLMInferenceService"),
        ({"headGroupSpec": {"template": {"spec": pod(container(command=SERVE))}}}, "RayCluster"),
        ({"rayClusterConfig": {"headGroupSpec": {"template": {"spec": pod(container(command=SERVE))}}}}, "RayService"),
    ],
)
def test_every_kind_with_a_pod_template_is_read(spec: Any, kind: str, engines: Engines) -> None:
    (found,) = engines(document(spec, kind))
    assert list(found.argv) == SERVE
    assert found.source.endswith(f"file.yaml: {kind} engine, container vllm")


@pytest.mark.parametrize(
    ("fields", "argv"),
    [
        pytest.param({"command": SERVE}, SERVE, id="command"),
        pytest.param({"command": SERVE[:2], "args": SERVE[2:]}, SERVE, id="command and args"),
        pytest.param({"command": ["/opt/venv/bin/vllm", *SERVE[1:]]}, ["/opt/venv/bin/vllm", *SERVE[1:]], id="path"),
        pytest.param({"command": API_SERVER}, API_SERVER, id="module"),
        pytest.param({"command": ["python", "-u", *API_SERVER[1:]]}, ["python", "-u", *API_SERVER[1:]], id="python -u"),
        pytest.param({"command": ["tini", "-g", "--", *SERVE]}, SERVE, id="behind an init"),
        pytest.param({"args": ["org/m", "--seed", "1"]}, ["vllm", "serve", "org/m", "--seed", "1"], id="only args"),
        pytest.param({"args": ["--model", "org/m"]}, ["vllm", "serve", "--model", "org/m"], id="args of an old image"),
        pytest.param({}, ["vllm", "serve"], id="image alone"),
    ],
)
def test_every_way_to_start_vllm_in_a_container_is_known(fields: Any, argv: list[str], engines: Engines) -> None:
    (found,) = engines(deployment(container(**fields)))
    assert list(found.argv) == argv
    assert not found.problem


@pytest.mark.parametrize(
    "fields",
    [
        {"image": "nginx", "command": ["nginx"]},
        {"image": "vllm/vllm-openai", "command": ["hf", "download", "org/m"]},
        {"image": "vllm/vllm-openai", "command": ["vllm", "bench", "serve"]},
        {"image": "lmcache/vllm-openai", "command": ["/opt/venv/bin/lmcache_server", "0.0.0.0", "81"]},
        {"image": "lmcache/lmstack-router", "args": ["--port", "8000"]},
        {"image": "example.org/vllm-router:1", "args": ["--port", "8000"]},
        {"image": "nginx", "command": [80]},
        {"image": 5},
        {"command": ["python3", "-m", "http.server"]},
    ],
)
def test_other_containers_are_not_engines(fields: Any, write: Write) -> None:
    with pytest.raises(Unreadable, match="looked for"):
        source.engines(write(deployment({"name": "x", **fields})))


@pytest.mark.parametrize(
    "image", ["rocm/vllm", "registry:5000/team/vllm-cpu@sha256:0", "vllm-to-sglang:latest", "lmcache/vllm-openai"]
)
def test_an_image_of_vllms_is_known_by_its_name(image: str, engines: Engines) -> None:
    assert engines(deployment({"name": "x", "image": image, "args": ["m"]}))[0].argv == ("vllm", "serve", "m")


def test_several_documents_lists_and_containers_give_each_engine(engines: Engines) -> None:
    two = deployment(container(command=SERVE), container(name="side", image="nginx"), container(name="b", args=["x"]))
    listed = {"kind": "List", "apiVersion": "v1", "items": [document(pod(container(args=["y"]))), None, 5]}
    assert [found.argv[2] for found in engines(two, None, {"kind": "Service"}, listed)] == ["org/m", "x", "y"]


def test_kubernetes_expands_variables_of_the_container(engines: Engines) -> None:
    env = [{"name": "PORT", "value": "81"}, {"name": "NAME", "value": "m-$(PORT)"}]
    args = ["--port", "$(PORT)", "--served-model-name", "$(NAME)", "$$(PORT)", "$(NOWHERE)"]
    (found,) = engines(deployment(container(args=args, env=env)))
    assert found.argv[2:] == ("--port", "81", "--served-model-name", "m-81", "$(PORT)", "$(NOWHERE)")
    assert any("NOWHERE" in note for note in found.notes)


def test_a_config_map_of_the_same_file_is_read_and_a_secret_is_not(engines: Engines) -> None:
    data = {"kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"LEN": "4096", "VLLM_USE_V1": "1"}}
    secret = {"kind": "Secret", "metadata": {"name": "s"}, "stringData": {"KEY": "in-clear"}}
    env = [
        {"name": "MAX", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "LEN"}}},
        {"name": "VLLM_API_KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "KEY"}}},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
    ]
    sources = [{"configMapRef": {"name": "c"}}, {"secretRef": {"name": "s"}}]
    (found,) = engines(
        data, secret, deployment(container(args=["--max-model-len", "$(MAX)"], env=env, envFrom=sources))
    )
    assert found.argv[-1] == "4096"
    assert found.env["VLLM_USE_V1"] == "1"
    assert found.env["VLLM_API_KEY"] == "<from secret s>"
    assert found.env["IP"] == "<from field status.podIP>"
    assert found.notes == ("the variables of the secret s are not known here",)


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"command": [*SERVE, 8000]}, "command[5] is a number"),
        ({"args": ["m", True]}, "args[1] is true or false"),
        ({"args": ["m", None]}, "args[1] is empty"),
        ({"args": "--model m"}, "args is a text"),
        ({"args": ["m"], "env": [{"name": "A", "value": 1}]}, "env[0].value is a number"),
        ({"args": ["m"], "env": {"A": "1"}}, "env is a mapping"),
        ({"args": SERVE}, "move the program to command"),
        ({"command": ["/scripts/start.sh"]}, "cannot be read here"),
        ({"command": ["bash", "/start"]}, "cannot be read here"),
        ({"command": ["bash", "-c"]}, "no script"),
        ({"command": ["bash", "-c", "vllm serve 'm"]}, "quote is not closed"),
    ],
)
def test_what_kubernetes_or_the_shell_would_not_take_is_a_problem_of_that_engine(
    fields: Any, path: str, engines: Engines
) -> None:
    broken, other = engines(deployment(container(**fields), container(name="b", args=["x"])))
    assert path in broken.problem
    assert other.argv[2] == "x"


def test_the_members_of_a_group_have_the_variables_of_its_controller(engines: Engines) -> None:
    command = [*SERVE, "--nnodes", "$(LWS_GROUP_SIZE)", "--node-rank", "$(LWS_WORKER_INDEX)"]
    template = {"spec": pod(container(command=command))}
    spec = {"leaderWorkerTemplate": {"size": 2, "leaderTemplate": template, "workerTemplate": template}}
    leader, worker = engines(document(spec, "LeaderWorkerSet"))
    assert leader.argv[-4:] == ("--nnodes", "2", "--node-rank", "0")
    assert worker.argv[-1] == "1"
    assert "leaderTemplate" in leader.source
    assert "workerTemplate" in worker.source


def test_containers_that_kuberay_starts_are_refused_by_name(engines: Engines) -> None:
    script = '/bin/bash -c "cp /entrypoint/vllm-entrypoint.sh $HOME && $HOME/vllm-entrypoint.sh &"'
    head = {"template": {"spec": pod(container(name="head", command=[script]))}}
    spec = {"headGroupSpec": head, "workerGroupSpecs": [{"template": {"spec": pod(container(name="worker"))}}]}
    found = engines(document(spec, "RayCluster"))
    assert ["Ray cluster" in one.problem for one in found] == [True, True]


def test_a_script_of_the_stack_is_read(engines: Engines) -> None:
    script = (
        "set -x\napt-get install -y \\\n  curl wget\n# vllm serve not-this\npip install --upgrade pip\n\n"
        "python -m vllm.entrypoints.openai.api_server \\\n  --host 0.0.0.0 \\\n  --port ${PORT} \\\n"
        "  --model ${MODEL_ID}\n  # Add flags as needed\n"
    )
    env = [{"name": "PORT", "value": "8000"}, {"name": "MODEL_ID", "value": "/var/mdl/m"}]
    (found,) = engines(deployment(container(image="ubuntu", command=["/bin/bash", "-exc", script], env=env)))
    module = ("python", "-m", "vllm.entrypoints.openai.api_server")
    assert found.argv == (*module, "--host", "0.0.0.0", "--port", "8000", "--model", "/var/mdl/m")
    assert found.notes == ()
