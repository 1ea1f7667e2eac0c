"""The servers that vLLM was recorded as, by its flags; what our own shims make of these flags is what is tested.
Used by the recorder and by the replay, so that both run the same middleware.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import render_config
from middleware.settings import Settings, read_settings
from shims import cli, facts, plan, programs
from shims.engines import KEYS_VARIABLE
from shims.plan import Plan
from tests.differential.adapters import make_adapter
from tests.server import ROOT, free_port

MODEL = ROOT / ".engine/SmolLM2-135M-Instruct"
LAUNCH = ROOT / "cpu_engine/launch"
TEMPLATE = Path(__file__).parent / "tools.jinja"
NAME = "smollm2-135m"
# What stands in the recordings instead of this machine's paths.
RECORDED_MODEL = "/models/SmolLM2-135M-Instruct"
RECORDED_ADAPTERS = "engine/lora"
RECORDED_ENGINE = "/opt/engine"
RECORDED_ROOT = "/opt/vllm-to-sglang"

TOOLS = (
    f"--enable-auto-tool-choice --tool-call-parser hermes --chat-template {shlex.quote(str(TEMPLATE))}"
    " --enable-lora --max-lora-rank 8 --max-loras 2 --lora-modules noisy={adapters}/noisy"
    " --enable-tokenizer-info-endpoint --enable-scale-out"
)
DEVELOPER = {"VLLM_SERVER_DEV_MODE": "1", "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1"}


@dataclass(frozen=True, slots=True)
class Group:
    name: str
    flags: str
    env: Mapping[str, str] = field(default_factory=dict)


GROUPS = {
    group.name: group
    for group in (
        Group("main33", TOOLS, DEVELOPER),
        Group("main2_33", f"{TOOLS} --enable-server-load-tracking", DEVELOPER),
        Group("plain33", ""),
        Group(
            "apikey_reasoning33",
            "--api-key sk-test --reasoning-parser qwen3 --enable-request-id-headers --enable-prompt-tokens-details"
            " --enable-server-load-tracking --enable-per-request-metrics",
        ),
        Group("pooling", "--runner pooling --convert embed"),
    )
}
COMMON = f"--served-model-name {NAME} --max-model-len 2048 --dtype bfloat16 --enforce-eager"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A group on this machine: its Plan, and what is made of the recordings' paths."""

    group: Group
    plan: Plan
    env: Mapping[str, str]
    adapters: Path
    run_dir: Path

    def middleware_settings(self) -> dict[str, Any]:
        """All that supervisord would give the middleware, but for sockets and files."""
        words = programs.middleware_command(self.plan)
        argv = words[words.index("middleware") + 1 :]
        env = {**self.env, KEYS_VARIABLE: _json_list(self.plan.api_keys)}
        settings = read_settings(argv, env)
        not_ours = ("upstream_host", "upstream_port", "port", "fd", "ready_file")
        return {f.name: getattr(settings, f.name) for f in fields(Settings) if f.name not in not_ours}

    def local(self, data: bytes) -> bytes:
        """With this machine's paths in place of the recorded ones."""
        data = data.replace(RECORDED_MODEL.encode(), str(MODEL).encode())
        return data.replace(RECORDED_ADAPTERS.encode(), str(self.adapters).encode())

    def recorded(self, data: bytes) -> bytes:
        """The other way round, and without any other path of this machine's."""
        engine = ROOT / ".venv-engine"
        for folder, instead in (
            (MODEL, RECORDED_MODEL),
            (self.adapters, RECORDED_ADAPTERS),
            (engine, RECORDED_ENGINE),
            (engine.resolve(), RECORDED_ENGINE),
            (ROOT, RECORDED_ROOT),
        ):
            data = data.replace(str(folder).encode(), instead.encode())
        return data


def prepare(group: Group, folder: Path) -> Prepared:
    """Writes what the shims would write into `folder`, and two adapters."""
    adapters = folder / "adapters"
    for name in ("noisy", "zero"):
        make_adapter(adapters / name, noise=name == "noisy")
    run_dir = folder / "run"
    run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    env = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "VLLM_SHIM_RUN_DIR": str(run_dir),
        "VLLM_SHIM_ENGINE": shlex.quote(str(LAUNCH)),
        "VLLM_SHIM_ENGINE_ARGS": "--max-total-tokens 4096",
        **group.env,
    }
    flags = shlex.split(group.flags.format(adapters=shlex.quote(str(adapters))))
    command = cli.from_words(["serve", str(MODEL), "--port", str(free_port()), *shlex.split(COMMON), *flags])
    chosen = plan.make(command, env, facts.gather(command, env))
    render_config.write(chosen, run_dir)
    return Prepared(group, chosen, env, adapters, run_dir)


def _json_list(words: tuple[str, ...]) -> str:
    return json.dumps(words) if words else ""
