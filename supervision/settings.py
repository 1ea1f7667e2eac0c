"""The `[shim]` section of supervisord.conf, which supervisord itself passes over, as one frozen value.
`options` reads it together with supervisord's own sections.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from supervisor.options import UnhosedConfigParser

SECTION = "shim"
EngineRestart = Literal["exit", "in-place"]


@dataclass(frozen=True)
class Settings:
    engines: tuple[str, ...] = ()  # program names
    members: tuple[str, ...] = ()  # those of them that take turns: the middleware's switcher starts and stops them
    engine_restart: EngineRestart = "exit"  # what the death of a once-ready engine means
    ready_dir: Path | None = None  # holds a file named like the program once that engine has served
    prometheus_dir: Path | None = None  # holds a folder named like the engine, which is empty when that starts
    crash_limit: int = 3  # so many deaths of an engine ...
    crash_window_seconds: float = 600  # ... within this time end the container
    helper_crash_limit: int = 10  # the same for every other program
    lame_duck_seconds: float = 0  # /health is 503, and requests are still taken, so long before the stop begins
    drain_seconds: float | None = None  # then running requests may finish; what is left is ended with an error event
    haproxy_socket: Path | None = None  # where haproxy is told so
    tls_dir: Path | None = None  # haproxy's certificate and key; watched, and taken up when they are renewed
    worker_rank: bool = False  # an engine without a front door, one of several that only live together
    termination_log: Path = Path("/dev/termination-log")
    shim_log: Path | None = None  # the last words are appended to it
    state_file: Path | None = None  # what this container is doing, for the one after it


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _restart(text: str) -> EngineRestart:
    if text not in ("exit", "in-place"):
        raise ValueError("`exit` or `in-place`")
    return cast("EngineRestart", text)


def _absolute_path(text: str) -> Path:
    if not text.startswith("/"):
        raise ValueError("an absolute path")
    return Path(text)


def _yes_or_no(text: str) -> bool:
    if text not in ("yes", "no"):
        raise ValueError("`yes` or `no`")
    return text == "yes"


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ValueError("a whole number of 1 or more")
    return int(text)


def _seconds(text: str) -> float:
    if not text.replace(".", "", 1).isdecimal():
        raise ValueError("a number of seconds, 0 or more")
    return float(text)


# A converter's ValueError says what is accepted; the sentence around it is made once, in `parse`.
KEYS: Mapping[str, Callable[[str], Any]] = {
    "engines": _names,
    "members": _names,
    "engine_restart": _restart,
    "ready_dir": _absolute_path,
    "prometheus_dir": _absolute_path,
    "crash_limit": _count,
    "crash_window_seconds": _seconds,
    "helper_crash_limit": _count,
    "lame_duck_seconds": _seconds,
    "drain_seconds": _seconds,
    "haproxy_socket": _absolute_path,
    "tls_dir": _absolute_path,
    "worker_rank": _yes_or_no,
    "termination_log": _absolute_path,
    "shim_log": _absolute_path,
    "state_file": _absolute_path,
}


def parse(section: Mapping[str, str]) -> Settings:
    values: dict[str, Any] = {}
    for key, text in section.items():
        if key not in KEYS:
            raise ValueError(f"[{SECTION}] has no key {key!r}; it has {', '.join(KEYS)}")
        try:
            values[key] = KEYS[key](text)
        except ValueError as accepted:
            raise ValueError(f"[{SECTION}] {key}={text!r}: accepted is {accepted}") from None
    settings = Settings(**values)
    if settings.engines and settings.ready_dir is None and not settings.worker_rank:
        raise ValueError(f"[{SECTION}] names engines, and so needs ready_dir: an absolute path (or worker_rank=yes)")
    return settings


def read(configfile: str, expansions: Mapping[str, str]) -> Settings:
    """By supervisord's own grammar: `%%` is a percent sign, `%(ENV_x)s` and `%(here)s` are expanded."""
    parser = UnhosedConfigParser()
    parser.expansions = dict(expansions)
    parser.read(configfile)
    if SECTION not in parser.sections():
        return Settings()
    return parse({key: parser.saneget(SECTION, key) for key in parser.options(SECTION)})
