"""A container of the image under test: started as a stack starts it, asked over its own address, and gone afterwards
with its volumes. `conftest` hands them out; nothing of podman's is used beyond its command.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import httpx

from tests.server import PATIENCE, ROOT, wait_for

PORT = 8000
IMAGE = os.environ.get("TEST_IMAGE", "localhost/vllm-to-sglang-test:debian12")
PACKAGES = "/usr/lib/python3/dist-packages"  # of the base's own Python
# What makes `python3 -m sglang.launch_server` run in a base that has no SGLang.
STAND_IN = (f"{ROOT}/tests:/checkout/tests:ro", f"{ROOT}/tests/image/sglang:{PACKAGES}/sglang:ro")
PROBE_SECONDS = 1.0  # Kubernetes' timeoutSeconds, where a probe names none


def environment() -> dict[str, str]:
    """podman's own: with runc and limits that this machine allows, unless somebody chose otherwise."""
    env = dict(os.environ)
    if shutil.which("runc"):
        env.setdefault("CONTAINERS_CONF", f"{ROOT}/tests/image/containers.conf")
    return env


def podman(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    found = subprocess.run(
        ["podman", *words], check=False, capture_output=True, text=True, errors="replace", env=environment()
    )
    assert not check or found.returncode == 0, f"podman {' '.join(words)}: {found.stderr}"
    return found


def inspect_image(name: str = IMAGE) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(podman("image", "inspect", name).stdout)[0]
    return found


@dataclass
class Probes:
    """What a probe would have seen, ten times a second: the status, or 0 where nobody listened in time."""

    url: str
    seen: list[int] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.1):
            try:
                self.seen.append(httpx.get(f"{self.url}/health", timeout=PROBE_SECONDS, trust_env=False).status_code)
            except httpx.TransportError:
                self.seen.append(0)


class Container:
    """`Container("m", "--port", "8000", env={...})` is what `docker run IMAGE m --port 8000` starts."""

    def __init__(
        self,
        *args: str,
        command: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        options: Sequence[str] = (),
        volumes: Sequence[str] = STAND_IN,
        image: str = IMAGE,
        port: int = PORT,
    ) -> None:
        """`command` is Kubernetes' word for what takes the ENTRYPOINT's place."""
        words = [word for name, value in (env or {}).items() for word in ("--env", f"{name}={value}")]
        words += [word for volume in volumes for word in ("--volume", volume)]
        words += ["--entrypoint", json.dumps(list(command))] if command else []
        # A network of its own, which leads nowhere else. On a common bridge each container that comes or goes changes
        # the bridge's own address, and what others send to it is lost until they have asked for it anew.
        self._network = f"v2s-{uuid.uuid4().hex[:12]}"
        podman("network", "create", "--disable-dns", self._network)
        words = ["--network", self._network, *words]
        try:
            self.id = podman("run", "--detach", "--pull=never", *words, *options, image, *args).stdout.strip()
        except BaseException:
            podman("network", "rm", "--force", self._network)
            raise
        address = self.inspect()["NetworkSettings"]["Networks"][self._network]["IPAddress"]
        self.url = f"http://{address or '127.0.0.1'}:{port}"

    def inspect(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(podman("inspect", self.id).stdout)[0]
        return found

    @property
    def running(self) -> bool:
        return bool(self.inspect()["State"]["Running"])

    @property
    def output(self) -> str:
        found = podman("logs", self.id)
        return found.stdout + found.stderr

    def health(self) -> int:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{self.url}/health", timeout=PROBE_SECONDS, trust_env=False).status_code
        return 0

    def wait_ready(self, seconds: float = PATIENCE) -> None:
        def ready_or_over() -> bool:
            return self.health() == 200 or not self.running

        wait_for(ready_or_over, "ready", seconds)
        assert self.running, self.output

    def wait_end(self, seconds: float = PATIENCE) -> int:
        found = subprocess.run(
            ["podman", "wait", self.id], check=True, capture_output=True, text=True, timeout=seconds, env=environment()
        )
        return int(found.stdout)

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        return httpx.request(method, f"{self.url}{path}", timeout=PATIENCE, trust_env=False, **more)

    def chat(self, model: str, tokens: int = 8) -> str:
        body = {"model": model, "messages": [{"role": "user", "content": "Say hello."}], "max_tokens": tokens}
        answer = self.ask("POST", "/v1/chat/completions", json=body, headers={"authorization": "Bearer s3cret"})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["choices"][0]["message"]["content"])

    def run(self, *words: str, user: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
        """As `kubectl exec` does."""
        return podman("exec", *(("--user", user) if user else ()), self.id, *words, check=check)

    def stop(self, seconds: int = 40) -> int:
        podman("stop", "--time", str(seconds), self.id)
        return int(self.inspect()["State"]["ExitCode"])

    def close(self) -> None:
        podman("rm", "--force", "--volumes", "--time", "0", self.id)
        podman("network", "rm", "--force", self._network)


@contextlib.contextmanager
def container(*args: str, **more: Any) -> Iterator[Container]:
    one = Container(*args, **more)
    try:
        yield one
    except BaseException:
        print(one.output)
        raise
    finally:
        one.close()


@contextlib.contextmanager
def volume() -> Iterator[str]:
    """A named one, by its name."""
    name = podman("volume", "create").stdout.strip()
    try:
        yield name
    finally:
        podman("volume", "rm", "--force", name)
