"""What the operator and the shims say to the middleware: a command line and three variables, as one frozen value.
Read once by `middleware.__main__`; tests build it by hand.
"""

import argparse
import json
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from middleware.policy import Policy, PolicyError, from_json

API_KEYS = "VLLM_SHIM_API_KEYS"
STRIP_PARAMS = "VLLM_SHIM_STRIP_PARAMS"
EXPOSE_ROUTES = "VLLM_SHIM_EXPOSE_ROUTES"


class SettingsError(Exception):
    """What was given cannot be used; the message is one sentence for the operator."""


@dataclass(frozen=True, slots=True)
class Settings:
    upstream_host: str
    upstream_port: int
    port: int = 0
    fd: int | None = None
    ready_file: Path | None = None
    engine_log: Path | None = None
    control_socket: Path | None = None
    served_model_names: tuple[str, ...] = ()
    api_keys: tuple[str, ...] = field(default=(), repr=False)
    strip_params: frozenset[str] = frozenset()
    expose_routes: tuple[str, ...] = ()
    policy: Policy = field(default_factory=Policy)
    upstream_seconds: float = 0.0  # until the head of an answer that takes its time; 0: no limit
    page_port: int = 0  # of the page for people, on loopback; 0: none
    models: Path | None = None  # several: their specification, in the place of the upstream and the names

    @property
    def stalled_file(self) -> Path | None:
        """Where supervision looks for the word that the engine is to be ended."""
        return self.ready_file and self.ready_file.with_name(f"{self.ready_file.name}.stalled")

    @property
    def asleep_file(self) -> Path | None:
        """Where we leave word for the next of us what SGLang has released."""
        return self.ready_file and self.ready_file.with_name(f"{self.ready_file.name}.asleep")

    @property
    def paused_file(self) -> Path | None:
        """Where we leave word for the next of us why SGLang is paused."""
        return self.ready_file and self.ready_file.with_name(f"{self.ready_file.name}.paused")

    @property
    def upstream_url(self) -> str:
        host = f"[{self.upstream_host}]" if ":" in self.upstream_host else self.upstream_host
        return f"http://{host}:{self.upstream_port}"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise SettingsError(message)


def read_settings(argv: Sequence[str], environ: MutableMapping[str, str]) -> Settings:
    """Reads both, and takes the keys out of the environment: nothing that we start or print may inherit them."""
    keys = environ.pop(API_KEYS, "")
    options = _parser().parse_args(argv)
    if (options.models is None) == (options.upstream is None):
        raise SettingsError("--upstream must say where SGLang is, or --models which models there are: one of the two")
    if options.port is None and options.fd is None:
        raise SettingsError("--port or --fd must say where to listen")
    host, port = _upstream(options.upstream) if options.upstream is not None else ("127.0.0.1", 0)
    return Settings(
        upstream_host=host,
        upstream_port=port,
        port=options.port or 0,
        fd=options.fd,
        ready_file=options.ready_file,
        engine_log=options.engine_log,
        control_socket=options.control_socket,
        served_model_names=tuple(options.served_model_name),
        api_keys=_api_keys(keys),
        strip_params=frozenset(_words(environ.get(STRIP_PARAMS, ""))),
        expose_routes=exposed_routes(environ),
        policy=read_policy(options.policy),
        page_port=options.page_port,
        models=options.models,
    )


def exposed_routes(environ: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(f"/{path.lstrip('/')}" for path in _words(environ.get(EXPOSE_ROUTES, "")))


def _parser() -> argparse.ArgumentParser:
    also = f"From the environment: {API_KEYS} (a JSON list), {STRIP_PARAMS} and {EXPOSE_ROUTES} (comma separated)."
    parser = _Parser(prog="middleware", allow_abbrev=False, description="vLLM's HTTP API over SGLang.", epilog=also)
    parser.add_argument("--port", type=_port, metavar="P", help="listen on 127.0.0.1:P")
    parser.add_argument("--fd", type=int, metavar="N", help="listen on this inherited socket instead")
    parser.add_argument("--upstream", metavar="URL", help="where SGLang is: http://127.0.0.1:Q")
    parser.add_argument("--models", type=Path, metavar="PATH", help="several models: what they are, as JSON")
    parser.add_argument("--served-model-name", nargs="*", default=[], metavar="NAME", help="names of the model")
    parser.add_argument("--ready-file", type=Path, metavar="PATH", help="written each time the engine becomes ready")
    parser.add_argument(
        "--engine-log", type=Path, metavar="PATH", help="SGLang's log: tells how far its start has come"
    )
    parser.add_argument("--control-socket", type=Path, metavar="PATH", help="where this user alone may ask how we are")
    parser.add_argument("--page-port", type=_port, default=0, metavar="P", help="a page for people on 127.0.0.1:P")
    parser.add_argument("--policy", type=Path, metavar="PATH", help="what vLLM's flags ask of the API, a JSON object")
    return parser


def read_policy(path: Path | None) -> Policy:
    if path is None:
        return Policy()
    try:
        return from_json(json.loads(path.read_bytes()))
    except (OSError, PolicyError, ValueError) as error:
        raise SettingsError(f"--policy {path}: {error}") from error


def _port(text: str) -> int:
    port = int(text)
    if not 0 < port < 65536:
        raise argparse.ArgumentTypeError(f"{text} is not a port: 1 to 65535")
    return port


def _upstream(url: str) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if host is None or port is None or parts.scheme != "http" or parts.path.strip("/") or parts.query:
        raise SettingsError(f"--upstream {url!r} is not of the form http://127.0.0.1:8001")
    return host, port


def _api_keys(text: str) -> tuple[str, ...]:
    # The text itself is never repeated: it holds the keys.
    if not text:
        return ()
    try:
        keys = json.loads(text)
    except ValueError:
        raise SettingsError(f"{API_KEYS} is not valid JSON: a list of strings is expected") from None
    if not isinstance(keys, list) or not all(isinstance(key, str) and key for key in keys):
        raise SettingsError(f"{API_KEYS} is not a JSON list of non-empty strings")
    return tuple(keys)


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
