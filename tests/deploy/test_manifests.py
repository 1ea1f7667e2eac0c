"""What operators copy from deploy/: valid, started as meant, ended in time, and with no more rights than it takes."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.deploy.manifests import (
    DEPLOY,
    ENGINES,
    GROUP,
    IMAGE,
    MANIFESTS,
    PODS,
    ROOT,
    RUNTIME,
    SCALER,
    VALUES,
    Pod,
    document,
    documents,
    plan_of,
    plan_of_file,
    pods,
)
from tests.operate.conftest import check as check_fixture

check = check_fixture
SCHEMAS = Path(__file__).parent / "schemas"
KUBERNETES = ("1.30", "1.37")  # from where the fields of today's stack are, to the newest that the validator has
FIRST_COMPILATION_SECONDS = 15 * 60
EVERY_POD = pytest.mark.parametrize("pod", PODS, ids=[pod.title for pod in PODS])
EVERY_ENGINE = pytest.mark.parametrize("pod", ENGINES, ids=[pod.title for pod in ENGINES])


def schema_of(manifest: Any) -> Any:
    """Of a kind that is not Kubernetes' own."""
    path = SCHEMAS / f"{manifest['kind'].lower()}.yaml"
    return yaml.safe_load(path.read_text()) if path.exists() else None


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_every_manifest_is_one_that_the_api_server_takes(path: Path, version: str) -> None:
    for manifest in documents(path):
        schema = schema_of(manifest)
        if schema is None:
            kubernetes_validate.validate(manifest, version, strict=True)
            continue
        jsonschema.validate(manifest, schema)
        for pod in pods(manifest):
            as_kubernetes_own = {"apiVersion": "v1", "kind": "PodTemplate", "template": pod.template}
            kubernetes_validate.validate(as_kubernetes_own, version, strict=True)


@pytest.mark.parametrize("path", [RUNTIME, SCALER, GROUP], ids=lambda path: path.name)
def test_a_misspelt_field_of_another_kind_is_found(path: Path) -> None:
    manifest = next(one for one in documents(path) if schema_of(one))
    manifest["spec"]["replicaz"] = 1
    with pytest.raises(jsonschema.ValidationError, match="replicaz"):
        jsonschema.validate(manifest, schema_of(manifest))


def test_the_image_is_the_same_everywhere() -> None:
    values = yaml.safe_load(VALUES.read_text())["servingEngineSpec"]["modelSpec"][0]
    image = document(RUNTIME, "VLLMRuntime")["spec"]["deploymentConfig"]["image"]
    named = {pod.container["image"] for pod in PODS}
    named |= {f"{values['repository']}:{values['tag']}", f"{image['registry']}/{image['name']}"}
    named |= {name for path in DEPLOY.glob("*.yaml") for name in IMAGE.findall(path.read_text())}
    assert len(named) == 1
    (name,) = named
    repository, _, tag = name.partition(":")
    assert repository.endswith("/vllm-to-sglang")
    (base,) = re.findall(r"^ARG BASE_IMAGE=(\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    said = subprocess.run([ROOT / "deploy/image_tag", base], check=True, capture_output=True, text=True).stdout
    assert tag == said.strip()


def test_against_values_for_vllm_two_lines_are_changed() -> None:
    before = (Path(__file__).parent / "values_of_vllm.yaml").read_text().splitlines()
    mine = [line for line in VALUES.read_text().splitlines() if not line.startswith("#")]
    example = mine[: next(number for number, line in enumerate(mine) if line.strip().startswith("# ----"))]
    after = [line for line in example if line.strip()]
    before = [line for line in before if line.strip() and not line.startswith("#")]
    assert len(before) == len(after)
    changed = [(old.split()[0], new.split()[0]) for old, new in zip(before, after, strict=True) if old != new]
    assert changed == [("repository:", "repository:"), ("tag:", "tag:")]


def test_what_stands_beside_the_example_can_be_left_out() -> None:
    whole = yaml.safe_load(VALUES.read_text())
    example = yaml.safe_load(VALUES.read_text().partition("    # ----")[0])
    (model,), (all_of_it,) = (values["servingEngineSpec"].pop("modelSpec") for values in (example, whole))
    assert model.items() <= all_of_it.items()
    assert example["servingEngineSpec"].items() <= whole["servingEngineSpec"].items()


@pytest.mark.parametrize("path", [VALUES, RUNTIME, DEPLOY / "deployment.yaml"], ids=lambda path: path.name)
def test_check_accepts_it(path: Path, check: Any) -> None:
    answer = check(str(path))
    assert answer.code == 0, answer.everything
    assert "1 would start, 0 refused" in answer.out


def test_the_values_become_the_flags_that_they_ask_for() -> None:
    argv = " ".join(plan_of_file(VALUES).engines[0].argv)
    assert "--model-path meta-llama/Llama-3.1-8B-Instruct " in argv
    for flags in (
        "--context-length 4096",
        "--dtype bfloat16",
        "--disable-radix-cache",
        "--chunked-prefill-size -1",
        "--mem-fraction-static 0.7",
    ):
        assert flags in argv


def test_the_resource_becomes_the_flags_that_it_asks_for() -> None:
    argv = " ".join(plan_of_file(RUNTIME).engines[0].argv)
    for flags in ("--context-length 32768", "--dtype bfloat16", "--max-running-requests 64", "--tp-size 1"):
        assert flags in argv
    assert "--disable-radix-cache" not in argv


def test_the_ranks_of_a_group_meet_at_the_leader_and_only_it_serves() -> None:
    leader, worker = (plan_of(pod) for pod in pods(document(GROUP, "LeaderWorkerSet")))
    for rank, one in enumerate((leader, worker)):
        argv = " ".join(one.engines[0].argv)
        assert "--tp-size 16 " in argv
        assert f"--nnodes 2 --node-rank {rank} --dist-init-addr deepseek-0.deepseek.default:" in argv
    assert {"haproxy", "middleware", "sglang"} <= set(leader.programs)
    assert list(worker.programs) == ["sglang"]


def test_the_gpus_of_a_group_are_as_many_as_its_ranks() -> None:
    group = document(GROUP, "LeaderWorkerSet")
    gpus = [int(pod.container["resources"]["limits"]["amd.com/gpu"]) for pod in pods(group)]
    assert gpus[0] == gpus[1]
    assert gpus[0] * group["spec"]["leaderWorkerTemplate"]["size"] == 16


def test_only_the_leader_of_a_group_has_ports_and_probes() -> None:
    leader, worker = pods(document(GROUP, "LeaderWorkerSet"))
    probes = {"startupProbe", "livenessProbe", "readinessProbe"}
    assert probes <= leader.container.keys()
    assert {leader.container[probe]["httpGet"]["path"] for probe in probes} == {"/health"}
    assert not (probes | {"ports"}) & worker.container.keys()


@EVERY_ENGINE
def test_the_grace_period_is_longer_than_the_end(pod: Pod) -> None:
    assert pod.spec["terminationGracePeriodSeconds"] > plan_of(pod).settings.stop_seconds


def test_without_a_grace_period_the_end_fits_into_kubernetes_own() -> None:
    """The operator's resource has no setting for one."""
    assert plan_of_file(RUNTIME).settings.stop_seconds < 30


@EVERY_ENGINE
def test_a_start_has_time_for_a_first_compilation_and_a_death_is_seen_soon(pod: Pod) -> None:
    container = pod.container
    if "workerTemplate" in pod.title:
        return
    start, life = container["startupProbe"], container["livenessProbe"]
    assert start["periodSeconds"] * start["failureThreshold"] > FIRST_COMPILATION_SECONDS
    assert life["periodSeconds"] * life["failureThreshold"] <= 30
    assert {"initialDelaySeconds"}.isdisjoint(start)
    ports = {port["name"] for port in container["ports"]}
    assert {
        container[probe]["httpGet"]["port"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")
    } <= ports


def test_a_slow_start_is_no_failed_rollout() -> None:
    deployment = document(DEPLOY / "deployment.yaml", "Deployment")
    (pod,) = pods(deployment)
    start = pod.container["startupProbe"]
    assert deployment["spec"]["progressDeadlineSeconds"] > start["periodSeconds"] * start["failureThreshold"]


@EVERY_POD
def test_no_pod_has_rights_that_it_does_not_need(pod: Pod) -> None:
    assert not {"hostNetwork", "hostIPC", "hostPID"} & pod.spec.keys()
    assert pod.spec["securityContext"]["runAsNonRoot"]
    assert pod.spec["securityContext"]["runAsUser"] > 0
    assert not pod.spec["automountServiceAccountToken"]
    assert not [volume for volume in pod.spec.get("volumes", ()) if "hostPath" in volume]
    assert pod.container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_the_values_take_from_root_what_it_does_not_need() -> None:
    context = yaml.safe_load(VALUES.read_text())["servingEngineSpec"]["containerSecurityContext"]
    assert context["readOnlyRootFilesystem"]
    assert not context["allowPrivilegeEscalation"]
    assert context["capabilities"] == {"drop": ["ALL"]}


@EVERY_ENGINE
def test_all_that_is_written_is_written_to_a_volume(pod: Pod) -> None:
    mounts = {mount["mountPath"]: mount["name"] for mount in pod.container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod.spec["volumes"]}
    assert set(mounts.values()) == set(volumes)
    assert {"/tmp", "/dev/shm", pod.env["VLLM_SHIM_LOG_DIR"], pod.env["VLLM_CACHE_ROOT"]} <= set(mounts)
    assert volumes[mounts["/dev/shm"]]["emptyDir"]["medium"] == "Memory"
    # Models and kernels outlive the pod, logs the container.
    assert "persistentVolumeClaim" in volumes[mounts[pod.env["VLLM_CACHE_ROOT"]]]
    assert "emptyDir" in volumes[mounts[pod.env["VLLM_SHIM_LOG_DIR"]]]


def test_the_values_mount_what_they_name() -> None:
    (model,) = yaml.safe_load(VALUES.read_text())["servingEngineSpec"]["modelSpec"]
    env = {one["name"]: one["value"] for one in model["env"]}
    mounts = {mount["mountPath"]: mount["name"] for mount in model["extraVolumeMounts"]}
    assert {"/tmp", env["VLLM_SHIM_LOG_DIR"]} == set(mounts)
    assert set(mounts.values()) == {volume["name"] for volume in model["extraVolumes"]}
    assert env["VLLM_CACHE_ROOT"] == "/data"  # where the chart mounts pvcStorage
    assert "pvcStorage" in model


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_selectors_find_the_pods_and_claims_the_volumes(path: Path) -> None:
    labels = [pod.template["metadata"]["labels"] for one in documents(path) for pod in pods(one)]
    claims = {one["metadata"]["name"] for one in documents(path) if one["kind"] == "PersistentVolumeClaim"}
    for manifest in documents(path):
        if manifest["kind"] in ("Deployment", "DaemonSet"):
            wanted = manifest["spec"]["selector"]["matchLabels"]
            assert wanted.items() <= labels[0].items()
        if manifest["kind"] == "Service":
            wanted = manifest["spec"]["selector"]
            given = {name: value for name, value in wanted.items() if not name.startswith("leaderworkerset.")}
            assert all(given.items() <= one.items() for one in labels)
        for pod in pods(manifest):
            volumes = [volume.get("persistentVolumeClaim") for volume in pod.spec.get("volumes", ())]
            assert {claim["claimName"] for claim in volumes if claim} <= claims


def test_a_groups_service_finds_the_leaders_by_the_controllers_labels() -> None:
    service, group = document(GROUP, "Service"), document(GROUP, "LeaderWorkerSet")
    assert service["spec"]["selector"] == {
        "leaderworkerset.sigs.k8s.io/name": group["metadata"]["name"],
        "leaderworkerset.sigs.k8s.io/worker-index": "0",
    }
    assert service["metadata"]["name"] != group["metadata"]["name"]  # the controller makes one of that name


def test_the_prepulled_image_asks_for_no_gpu_and_ends_at_once() -> None:
    (pod,) = pods(document(DEPLOY / "prepull.yaml", "DaemonSet"))
    assert "gpu" not in str(pod.container["resources"])
    assert pod.spec["terminationGracePeriodSeconds"] == 1


def test_the_document_shows_the_two_lines_that_stand_in_the_values() -> None:
    lines = re.findall(r"^\+\s+(\w+: .*)$", (ROOT / "docs/deploying.md").read_text(), re.MULTILINE)
    assert len(lines) == 2
    assert set(lines) <= {line.strip() for line in VALUES.read_text().splitlines()}
