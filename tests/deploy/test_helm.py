"""deploy/values.yaml as Helm renders it, and the post-renderer in a real Helm 4. The chart is a stand-in of the tests';
PRODUCTION_STACK_CHART=DIR takes the real one in its place.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from operate import source
from tests.deploy.manifests import DEPLOY, ROOT, VALUES, Pod, pods

HELM = ROOT / ".cache/helm/helm"
CHART = os.environ.get("PRODUCTION_STACK_CHART") or str(Path(__file__).parent / "chart")
GRACE = DEPLOY / "post-renderer/grace"
PLUGIN = "vllm-to-sglang-grace"
Render = Callable[..., str]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Helm's own files, with the plugin installed as the documents say."""
    path = tmp_path_factory.mktemp("helm")
    assert HELM.exists(), "run `make helm`"
    subprocess.run([HELM, "plugin", "install", DEPLOY / "post-renderer"], env=environment(path), check=True, timeout=60)
    return path


def environment(home: Path, **more: str) -> dict[str, str]:
    places = {f"HELM_{name}_HOME": f"{home}/{name.lower()}" for name in ("CONFIG", "DATA", "CACHE")}
    return {**os.environ, **places, **more}


@pytest.fixture
def render(home: Path) -> Render:
    def run(*words: str, code: int = 0, **env: str) -> str:
        command = [str(HELM), "template", "vllm", CHART, "--values", str(VALUES), *words]
        done = subprocess.run(
            command, env=environment(home, **env), check=False, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == code, done.stderr
        return done.stdout

    return run


def deployments(rendered: str) -> Iterator[tuple[str, Pod]]:
    for document in yaml.safe_load_all(rendered):
        if document and document["kind"] == "Deployment":
            (pod,) = pods(document)
            yield document["metadata"]["name"], pod


def engine(rendered: str) -> Pod:
    return next(pod for name, pod in deployments(rendered) if name.endswith("-deployment-vllm"))


def test_the_engine_that_helm_renders_is_valid_and_is_what_check_reads_from_the_values(
    render: Render, tmp_path: Path
) -> None:
    rendered = render()
    for document in yaml.safe_load_all(rendered):
        if document and document["kind"] in ("Deployment", "Service", "PersistentVolumeClaim"):
            kubernetes_validate.validate(document, "1.37", strict=True)
    path = tmp_path / "rendered.yaml"
    path.write_text(rendered)
    (of_helm,), (of_values,) = source.engines(str(path)).engines, source.engines(str(VALUES)).engines
    assert of_helm.argv == of_values.argv
    assert set(of_helm.env) == set(of_values.env)


def test_the_pod_has_the_gpu_the_volumes_and_the_probes_of_the_values(render: Render) -> None:
    pod = engine(render())
    assert pod.container["resources"]["limits"]["amd.com/gpu"] == "1"
    assert "nvidia" not in str(pod.template)
    mounts = {mount["mountPath"] for mount in pod.container["volumeMounts"]}
    assert {"/data", "/tmp", "/var/log/vllm-to-sglang"} <= mounts
    start = pod.container["startupProbe"]
    assert start["failureThreshold"] * start["periodSeconds"] == 1800
    assert start["httpGet"] == {"path": "/health", "port": 8000}
    assert pod.container["imagePullPolicy"] == "IfNotPresent"
    assert pod.container["securityContext"]["readOnlyRootFilesystem"]


def test_helm_4_gives_the_engine_its_grace_period_by_the_plugin_and_the_router_none(render: Render) -> None:
    found = dict(deployments(render("--post-renderer", PLUGIN)))
    assert len(found) == 2
    graces = {name: pod.spec.get("terminationGracePeriodSeconds") for name, pod in found.items()}
    assert graces == {"vllm-llama3-deployment-vllm": 90, "vllm-deployment-router": None}
    pod = engine(render("--post-renderer", PLUGIN, GRACE_SECONDS="120"))
    assert pod.spec["terminationGracePeriodSeconds"] == 120


def test_a_release_without_an_engine_of_ours_is_not_rendered(render: Render) -> None:
    render("--post-renderer", PLUGIN, ENGINE_IMAGE="some-other-name", code=1)


def grace(text: str, **env: str) -> subprocess.CompletedProcess[str]:
    """As Helm 3 calls it: rendered text in, rendered text out."""
    return subprocess.run(
        [GRACE], input=text, env={**os.environ, **env}, check=False, capture_output=True, text=True, timeout=60
    )


def test_helm_3_gets_its_text_back_with_one_line_more(render: Render) -> None:
    before = render().splitlines()
    done = grace("\n".join(before) + "\n")
    assert done.returncode == 0
    after = done.stdout.splitlines()
    added = [number for number, line in enumerate(after) if "terminationGracePeriodSeconds: 90" in line]
    assert len(added) == 1
    assert after[: added[0]] + after[added[0] + 1 :] == before


@pytest.mark.parametrize("path", sorted(DEPLOY.glob("*worker*.yaml")), ids=lambda path: path.name)
def test_a_grace_period_that_is_there_is_replaced_in_every_pod(path: Path) -> None:
    before = path.read_text()
    done = grace(before, GRACE_SECONDS="300")
    assert done.stdout == before.replace("terminationGracePeriodSeconds: 90", "terminationGracePeriodSeconds: 300")
    assert done.stdout.count(": 300") == 2


SHAPES: dict[str, Any] = {
    "a sidecar first": [
        {"name": "a", "image": "b"},
        {"name": "vllm", "image": "r.example:5000/vllm-to-sglang@sha256:0"},
    ],
    "an init container": [{"image": "vllm-to-sglang:1", "name": "vllm"}],
}


@pytest.mark.parametrize("containers", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("width", [2, 4])
def test_the_engine_is_found_wherever_its_container_stands(containers: Any, width: int) -> None:
    spec = {"initContainers": [{"name": "i", "image": "busybox"}], "containers": containers, "volumes": []}
    text = yaml.safe_dump({"kind": "Deployment", "spec": {"template": {"spec": spec}}}, indent=width, sort_keys=False)
    done = grace(text)
    assert done.returncode == 0, done.stderr
    after = yaml.safe_load(done.stdout)["spec"]["template"]["spec"]
    assert after.pop("terminationGracePeriodSeconds") == 90
    assert after == spec


@pytest.mark.parametrize("seconds", ["", "0", "-1", "1.5", "90; exit", "030"])
def test_seconds_that_are_none_are_refused(seconds: str) -> None:
    done = grace("kind: Deployment\n", GRACE_SECONDS=seconds)
    if seconds:
        assert done.returncode == 2
        assert "GRACE_SECONDS" in done.stderr
    else:
        assert done.returncode == 1
        assert "ENGINE_IMAGE" in done.stderr
    assert "terminationGrace" not in done.stdout
