"""How each program is started, and where haproxy listens, as the words of the files. `render_config` asks."""

from __future__ import annotations

from collections.abc import Sequence

from shims import settings
from shims.engines import NOT_FOR_THE_ENGINE, Engine
from shims.environment.families import MULTIPROC_DIR
from shims.plan import Plan
from shims.quoting import haproxy_word, ini_command

TLS_DIR = "tls"  # of the run directory
MODELS = "models.json"  # of several models: what the switcher is told, and with it the middleware
HUB_PLACES = ("HOME", "XDG_CACHE_HOME", "HF_HOME")
VERIFY = {1: "optional", 2: "required"}  # by the numbers of Python's ssl module


def engine_command(engine: Engine) -> str:
    unset = [part for name in engine.unset for part in ("-u", name)]
    return ini_command(("/usr/bin/env", *unset, *engine.argv) if unset else engine.argv)


def bind_addresses(chosen: Plan) -> list[str]:
    """vLLM without --host takes every address of both families, and `::` both as well; with --uds none."""
    if chosen.unix_socket:
        return [haproxy_word(f"unix@{chosen.unix_socket}")]
    if chosen.host in (None, "::"):
        return [f":::{chosen.ports.public} v4v6"] if chosen.facts.ipv6 else [f"0.0.0.0:{chosen.ports.public}"]
    return [f"{chosen.host}:{chosen.ports.public}"]


def bind_tls(chosen: Plan) -> str:
    """The rest of haproxy's `bind` line. HTTP/1.1 alone is offered, as by vLLM: haproxy 2.8 would offer HTTP/2 too."""
    tls, folder = chosen.tls, f"{chosen.facts.run_dir}/{TLS_DIR}"
    if not tls.certfile:
        return ""
    words = ["ssl", "crt", haproxy_word(f"{folder}/server.pem"), "alpn", "http/1.1"]
    if tls.ciphers:
        words += ["ciphers", haproxy_word(tls.ciphers)]
    if tls.cert_reqs:
        words += ["ca-file", haproxy_word(f"{folder}/ca.pem"), "verify", VERIFY[tls.cert_reqs]]
    return " " + " ".join(words)


def haproxy_command(chosen: Plan) -> tuple[str, ...]:
    haproxy = (chosen.facts.haproxy or "haproxy", "-db", "-f", f"{chosen.facts.run_dir}/haproxy.cfg")
    return (*_without((*NOT_FOR_THE_ENGINE, *chosen.engine_only)), *haproxy)


def engine_stop_seconds(chosen: Plan) -> int:
    """SGLang 0.5.23: a worker rank ignores SIGTERM and ends when rank 0 does, which first drains. Killed before
    that, it would take the running requests of all ranks with it."""
    return settings.ENGINE_STOP_SECONDS if chosen.front_door else chosen.settings.stop_seconds


def middleware_command(chosen: Plan) -> tuple[str, ...]:
    # Of several models the first that SGLang loads: they share one place for what comes from the hub.
    engine = next((one for one in chosen.engines if one.model), chosen.engines[0])
    return (
        *_without((*chosen.engine_only, *MULTIPROC_DIR)),
        # It reads the model's small files where the engine has put them.
        *(f"{name}={engine.env[name]}" for name in HUB_PLACES if name in engine.env),
        *(chosen.facts.python, "-I", "-X", "utf8", "-m", "middleware"),
        *("--port", str(chosen.ports.middleware), "--fd", "0"),
        *("--control-socket", f"{chosen.facts.run_dir}/control.sock"),
        *("--policy", f"{chosen.facts.run_dir}/policy.json"),
        *(("--page-port", str(chosen.ports.page)) if chosen.ports.page else ()),
        *(_one_model(chosen, engine) if chosen.mux is None else ("--models", f"{chosen.facts.run_dir}/{MODELS}")),
    )


def _one_model(chosen: Plan, engine: Engine) -> tuple[str, ...]:
    return (
        *("--upstream", f"http://127.0.0.1:{engine.port}"),
        *("--ready-file", f"{chosen.facts.run_dir}/ready/{engine.name}"),
        *("--engine-log", f"{chosen.facts.log_dir}/{engine.name}.log"),
        *("--served-model-name", *chosen.models),
    )


def _without(names: Sequence[str]) -> tuple[str, ...]:
    """A program gets no more of the environment than it needs."""
    return ("/usr/bin/env", *(part for name in names for part in ("-u", name)))
