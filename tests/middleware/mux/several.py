"""Several models for tests: a real supervisord over stand-ins that share a device with room for one, and the middleware
in a thread before them. Everything is gone when the `with` block ends.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import threading
import xmlrpc.client
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from middleware.client import ClientProtocol
from middleware.device_memory import DeviceMemory
from middleware.listen import listening_socket
from middleware.mux.app import create_mux
from middleware.policy import Policy
from middleware.settings import Settings
from operate.sockets import Transport
from switcher.spec import Member, Mux
from tests.middleware.serving import PATIENCE, ROOT, STAND_IN, Served, process_environment, wait_for
from tests.server import free_port  # of a member that starts later: nobody's connection may take it meanwhile

CONFIG = """\
[supervisord]
nodaemon=true
logfile={folder}/supervisord.log
pidfile={folder}/supervisord.pid
[unix_http_server]
file={folder}/supervisor.sock
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""
PROGRAM = """\
[program:{name}]
command={command}
directory={root}
environment={environment}
autostart=false
autorestart=false
startsecs=0
startretries=0
stopwaitsecs=10
killasgroup=true
stopasgroup=true
redirect_stderr=true
stdout_logfile={folder}/{name}.log
"""


def member(name: str, **more: Any) -> Member:
    values: dict[str, Any] = {"names": (name,), "port": free_port(), "min_residency_seconds": 0.0}
    return Member(name, f"sglang-{name}", **(values | more))


class Several(Served):
    """The middleware's port; `folder` is the run directory, `device` what the stand-ins share."""

    folder: Path
    device: Path
    mux: Mux
    control: httpx.Client

    def member(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = next(one for one in self.get("/running").json()["models"] if one["model"] == name)
        return found

    def state(self, name: str) -> str:
        state: str = self.member(name)["state"]
        return state

    def wait_state(self, name: str, state: str) -> None:
        wait_for(lambda: self.state(name) == state, f"{name} is {state}")

    def chat(self, name: str | None, **more: Any) -> Any:
        body = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 4, **more}
        if name is not None:
            body["model"] = name
        return self.post("/v1/chat/completions", json=body)

    def pid(self, name: str) -> int:
        """0: its process does not run."""
        info: dict[str, Any] = self._supervisor(lambda rpc: rpc.getProcessInfo(f"sglang-{name}"))
        return int(info["pid"])

    def _supervisor(self, question: Any) -> Any:
        transport = Transport(self.folder / "supervisor.sock", PATIENCE)
        try:
            return question(xmlrpc.client.ServerProxy("http://localhost", transport=transport).supervisor)
        finally:
            transport.close()

    def violations(self) -> str:
        found = self.device / "violations"
        return found.read_text() if found.exists() else ""

    @contextlib.contextmanager
    def another(self) -> Iterator[Several]:
        """A second middleware over the same models, as after a restart."""
        with _middleware(self.folder, self.device, self.mux, {}) as front:
            yield front

    def log(self, name: str) -> str:
        return (self.folder / f"sglang-{name}.log").read_text("utf-8", "replace")


@contextlib.contextmanager
def several(
    *members: Member,
    engine_env: dict[str, dict[str, str]] | None = None,
    engine: str = f"{sys.executable} {STAND_IN}",
    settings: dict[str, Any] | None = None,
    policy: dict[str, Any] | None = None,
    **mux: Any,
) -> Iterator[Several]:
    with tempfile.TemporaryDirectory(prefix="mux") as name:  # short: a socket's path has 107 bytes
        folder = Path(name)
        device = folder / "device"
        node = device / "renderD128/device"
        node.mkdir(parents=True)
        (device / "used").write_text("0")
        (node / "mem_info_vram_used").symlink_to(device / "used")
        if policy is not None:
            (folder / "policy.json").write_text(json.dumps(policy))
            members = tuple(replace(one, policy=str(folder / "policy.json")) for one in members)
            settings = {"policy": Policy(**policy), **(settings or {})}
        text = CONFIG.format(folder=folder)
        for one in members:
            env = {"STANDIN_CHILDREN": "0", "STANDIN_DEVICE": str(device), **(engine_env or {}).get(one.name, {})}
            command = f"{engine} --port {one.port} --served-model-name {one.name}"
            written = ",".join(f'{key}="{value}"' for key, value in env.items())
            text += PROGRAM.format(name=one.program, command=command, root=ROOT, environment=written, folder=folder)
        (folder / "supervisord.conf").write_text(text)
        spec = Mux(tuple(members), **mux)
        (folder / "models.json").write_text(json.dumps(spec.to_json()))
        with _supervisord(folder), _middleware(folder, device, spec, settings or {}) as front:
            yield front


@contextlib.contextmanager
def _supervisord(folder: Path) -> Iterator[None]:
    command = (sys.executable, "-m", "supervisor.supervisord", "-c", str(folder / "supervisord.conf"))
    with subprocess.Popen(
        command, cwd=ROOT, env=process_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as running:
        try:
            wait_for((folder / "supervisor.sock").exists, "supervisord listens")
            yield
        finally:
            running.send_signal(signal.SIGTERM)
            running.wait(PATIENCE)


@contextlib.contextmanager
def _middleware(folder: Path, device: Path, spec: Mux, more: dict[str, Any]) -> Iterator[Several]:
    settings = replace(
        Settings("127.0.0.1", 0), models=folder / "models.json", control_socket=folder / "c.sock", **more
    )

    def memory(devices: tuple[int, ...]) -> DeviceMemory:
        return DeviceMemory(devices, drm=device, nodes=device)

    sock = listening_socket(settings)
    config = uvicorn.Config(
        create_mux(settings, spec, folder, memory), loop="uvloop", http=ClientProtocol, ws="none", access_log=False,
        log_config=None, proxy_headers=False, timeout_graceful_shutdown=3,
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
    thread.start()
    front = Several(sock.getsockname()[1])
    front.folder, front.device, front.mux = folder, device, spec
    try:
        transport = httpx.HTTPTransport(uds=str(folder / "c.sock"))
        front.control = httpx.Client(base_url="http://control", transport=transport, timeout=PATIENCE)
        with front.client, front.control:
            wait_for(lambda: server.started, "uvicorn has started")
            yield front
    finally:
        server.should_exit = True
        thread.join(PATIENCE)
        sock.close()
