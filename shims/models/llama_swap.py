"""A llama-swap YAML, imported as far as it goes: `models:` is a mapping there. `sources` calls `read`; what has no
counterpart here is named in the report, and what would change who may call is refused.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from shims.models import kinds, llama_swap_groups, vllm_command
from shims.models.document import Node
from shims.models.entry import Asked, Entry, Limits
from shims.models.llama_swap_groups import Groups

MACRO = re.compile(r"\$\{([\w.-]+)\}")
FIRST_PORT = 5800  # llama-swap's
READY_SECONDS = 120  # llama-swap's
LOOPBACK = ("localhost", "127.0.0.1", "::1", "0.0.0.0")  # what a file may say
DEEPEST = 8  # macros in macros
TOP = ("models", "macros", "groups", "hooks", "healthCheckTimeout", "startPort", "globalTTL", "apiKeys")
MODEL = ("cmd", "proxy", "checkEndpoint", "aliases", "ttl", "env", "macros", "concurrencyLimit", "useModelName")
LEFT_OUT = {
    "cmdStop": "its process is ended by SIGTERM, then SIGKILL",
    "filters": "VLLM_SHIM_STRIP_PARAMS strips fields, of all models",
    "name": "/v1/models says the id",
    "description": "/v1/models has no place for it",
    "metadata": "/v1/models has no place for it",
    "unlisted": "/v1/models lists every model",
    "peers": "no other machine is asked",
    "matrix": llama_swap_groups.SHARED,
}


@dataclass(slots=True)
class _Port:
    """`startPort` and on, as the models come."""

    following: int

    def take(self) -> int:
        self.following += 1
        return self.following - 1


def read(root: Node, env: Mapping[str, str]) -> Asked:
    """Raises CommandLineError."""
    if keys := root.get("apiKeys"):
        raise keys.wrong("apiKeys: keys are not taken from a file: set VLLM_API_KEY, and leave this out")
    notes = [_left_out(node) for key, node in root.items() if key not in TOP]
    port = root.get("startPort")
    ports = _Port(kinds.PORT.read(port) if port else FIRST_PORT)
    macros = _macros(root)
    ready = _seconds(root, "healthCheckTimeout", READY_SECONDS)
    ttl = _seconds(root, "globalTTL", 0)
    entries = []
    models = root.get("models")
    assert models is not None
    groups, preloaded = llama_swap_groups.groups(root, models, notes), llama_swap_groups.preloaded(root, models)
    for name, node in models.items():
        entries.append(
            _entry(name, node, {**macros, **_macros(node)}, env, ports, ttl, ready, groups, name in preloaded)
        )
    if not entries:
        raise root.wrong("no models: `models:` is empty")
    return Asked(tuple(entries), slots=groups.slots, files=(root.file,), notes=tuple(notes))


def _entry(
    name: str,
    node: Node,
    macros: Mapping[str, str],
    env: Mapping[str, str],
    ports: _Port,
    ttl: float,
    ready: float,
    groups: Groups,
    preload: bool,
) -> Entry:
    line = node.get("cmd")
    if line is None:
        raise Node(None, node.file, node.key_line).wrong(
            f"the model {name} has no cmd: give the command that starts it"
        )
    if not isinstance(line.value, str) or not line.value.strip():
        raise line.wrong(f"cmd is {(line.text or line.kind).strip() or 'empty':.60}: give the command that starts it")
    text = _expanded(line, line.value, macros, name, env)
    uses_port = "${PORT}" in text
    proxy = _proxy(node, macros, name, env)
    port = proxy or ports.take()
    notes = [_left_out(one) for key, one in node.items() if key not in MODEL]
    own_env = _env(node)
    try:
        words = tuple(shlex.split(text.replace("\\\n", " "), comments=True))
    except ValueError as error:
        raise line.wrong(f"cmd: {error}") from None
    serve = vllm_command.of_vllm(tuple(word.replace("${PORT}", str(port)) for word in words), own_env)
    if serve is None and not uses_port and not proxy:
        notes.append(f"its command does not say ${{PORT}}: it must listen on {port} by itself")
    check = node.get("checkEndpoint")
    health = check.word() if check else "/health"
    if health == "none":
        notes.append("checkEndpoint: none: it counts as ready when /health answers 200")
        health = "/health"
    if serve is None and node.get("useModelName"):
        notes.append("useModelName: its requests keep the name that they came with")
    limit = node.get("concurrencyLimit")
    aliases = node.get("aliases")
    return Entry(
        file=node.file,
        line=node.key_line,
        serve=None if serve is None else serve.words,
        cmd=words if serve is None else None,
        name=name,
        aliases=kinds.NAMES.read(aliases) if aliases else (),
        port=port if serve is None else 0,
        health=health,
        env=own_env if serve is None else {**own_env, **serve.env},
        ttl=_ttl(node, ttl),
        pin=name in groups.kept,
        preload=preload,
        group=groups.together.get(name, ""),
        limits=Limits(ready=ready, concurrency=kinds.COUNT.read(limit) if limit else 0),
        lines={key: one.key_line for key, one in node.items()},
        notes=(*notes, *(() if serve is None else serve.notes)),
    )


def _left_out(node: Node) -> str:
    why = LEFT_OUT.get(node.name, "it has no counterpart here")
    return f"{node.file}:{node.key_line}: {node.name} is not taken over: {why}"


def _macros(node: Node) -> dict[str, str]:
    found = node.get("macros")
    return {name: one.word() for name, one in found.items()} if found else {}


def _expanded(at: Node, text: str, macros: Mapping[str, str], model: str, env: Mapping[str, str]) -> str:
    """`${PORT}` stays: it is the member's own."""

    def one(match: re.Match[str]) -> str:
        name = match[1]
        if name == "PORT":
            return match[0]
        if name == "MODEL_ID":
            return model
        if name.startswith("env."):
            if (value := env.get(name[4:])) is None:
                raise at.wrong(f"{at.name}: ${{{name}}} is not set in the environment")
            return value
        if name not in macros:
            raise at.wrong(f"{at.name}: there is no macro {name!r:.60}; it has {', '.join(macros) or 'none'}")
        return macros[name]

    for _ in range(DEEPEST):
        if (after := MACRO.sub(one, text)) == text:
            return text
        text = after
    raise at.wrong(f"{at.name}: its macros name each other without end")


def _proxy(node: Node, macros: Mapping[str, str], name: str, env: Mapping[str, str]) -> int:
    """The port that it names by itself; 0: ours."""
    found = node.get("proxy")
    if found is None:
        return 0
    text = _expanded(found, found.word(), macros, name, env)
    if "${PORT}" in text:
        text = text.replace("${PORT}", "0")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if host is None or port is None:
        raise found.wrong(f"proxy is {text!r:.60}: give http://localhost:PORT")
    if host not in LOOPBACK:
        raise found.wrong(f"proxy is {text!r:.60}: a model's server listens on this machine; leave the model out")
    return port


def _env(node: Node) -> dict[str, str]:
    found = node.get("env")
    pairs: dict[str, str] = {}
    for one in found.each() if found else ():
        name, equals, value = one.word().partition("=")
        if not equals or not name:
            raise one.wrong(f"env is {one.text!r:.60}: give NAME=value")
        pairs[name] = value
    return pairs


def _ttl(node: Node, otherwise: float) -> float:
    found = node.get("ttl")
    if found is None or found.value == -1:
        return otherwise
    return float(kinds.SECONDS.read(found))


def _seconds(node: Node, key: str, default: float) -> float:
    found = node.get(key)
    return float(kinds.SECONDS.read(found)) if found else default
