"""What stands in deploy/: its files, the pods in them, and the engines that they start. The tests beside it ask."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from operate import source
from operate.kubernetes import expand
from shims import cli, plan
from shims.facts import Facts
from shims.plan import Plan

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "deploy"
VALUES = DEPLOY / "values.yaml"
RUNTIME = DEPLOY / "vllmruntime.yaml"
SCALER = DEPLOY / "scaledobject.yaml"
GROUP = DEPLOY / "leaderworkerset.yaml"
MANIFESTS = sorted(set(DEPLOY.glob("*.yaml")) - {VALUES})
IMAGE = re.compile(r"[\w.]+/vllm-to-sglang:[\w.-]+")
# What the controllers set, and only they.
OF_THE_CONTROLLER = {"LWS_GROUP_SIZE": "2", "LWS_LEADER_ADDRESS": "deepseek-0.deepseek.default"}


@dataclass(frozen=True)
class Pod:
    title: str
    template: Any

    @property
    def spec(self) -> Any:
        return self.template["spec"]

    @property
    def container(self) -> Any:
        (container,) = self.spec["containers"]
        return container

    @property
    def env(self) -> dict[str, str]:
        return {one["name"]: one.get("value", "") for one in self.container.get("env", ())}

    @property
    def is_engine(self) -> bool:
        return "vllm" in self.container["name"]


def documents(path: Path) -> list[Any]:
    return list(yaml.safe_load_all(path.read_text()))


def document(path: Path, kind: str) -> Any:
    (found,) = [one for one in documents(path) if one["kind"] == kind]
    return found


def pods(manifest: Any) -> Iterator[Pod]:
    title = f"{manifest['kind']} {manifest['metadata']['name']}"
    spec = manifest.get("spec", {})
    templates = {"": spec, **{role: {"template": t} for role, t in spec.get("leaderWorkerTemplate", {}).items()}}
    for role, holder in templates.items():
        template = holder.get("template")
        if isinstance(template, dict) and "spec" in template:
            yield Pod(f"{title} {role}".strip(), template)


PODS = [pod for path in MANIFESTS for one in documents(path) for pod in pods(one)]
ENGINES = [pod for pod in PODS if pod.is_engine]


def plan_of(pod: Pod) -> Plan:
    """What the image makes of a pod that Kubernetes has started."""
    rank = "1" if "workerTemplate" in pod.title else "0"
    env = {**OF_THE_CONTROLLER, "LWS_WORKER_INDEX": rank, **pod.env}
    words, unknown = expand([*pod.container.get("command", ["vllm", "serve"]), *pod.container.get("args", ())], env)
    assert not unknown
    return plan.make(cli.from_words(list(words[1:])), env, Facts(in_kubernetes=True))


def plan_of_file(path: Path) -> Plan:
    (found,) = source.engines(str(path)).engines
    assert not found.problem
    return plan.make(cli.from_words(list(found.argv[1:])), found.env, Facts(in_kubernetes=True))
