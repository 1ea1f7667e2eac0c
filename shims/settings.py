"""Our own variables, VLLM_SHIM_*, read once into a frozen record. Called by `plan`."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from middleware.admin import opened
from middleware.settings import SettingsError, exposed_routes
from shims.exceptions import CommandLineError

DEFAULT_ENGINE = "python3 -m sglang.launch_server"
# Kubernetes kills after 30 s, and the chart has no setting for it: lame duck, drain and the rest fit below.
GRACE_SECONDS = 30
MIDDLEWARE_STOP_SECONDS = 3
ENGINE_STOP_SECONDS = 5
MARGIN_SECONDS = 2
STALL = "VLLM_SHIM_STALL_SECONDS"
# A step of the largest prefill is silent for that long, and so is a start's first request while kernels are compiled.
LEAST_STALL_SECONDS = 10
FIRST_COMPILATION_SECONDS = 600
A_DAY = 24 * 60 * 60
LONGEST = 9  # digits: int() raises for thousands of them
RESTART = ("auto", "exit", "in-place")


@dataclass(frozen=True, slots=True)
class Settings:
    engine: tuple[str, ...]
    restart: str  # exit or in-place
    lame_duck_seconds: int
    drain_seconds: int
    stall_seconds: int  # 0: a stalled engine is only reported


def _check_routes(env: Mapping[str, str]) -> None:
    """The middleware's own words, before an engine is loaded for nothing."""
    try:
        opened(exposed_routes(env))
    except SettingsError as error:
        raise CommandLineError(str(error)) from error


def read(env: Mapping[str, str], *, in_kubernetes: bool, drain_seconds: int | None = None) -> Settings:
    """`drain_seconds`: what the command line asked for; our own variable wins over it.

    Raises CommandLineError, naming the variable, what it holds and what it accepts.
    """
    _check_routes(env)
    restart = env.get("VLLM_SHIM_ENGINE_RESTART") or "auto"
    if restart not in RESTART:
        raise CommandLineError(f"VLLM_SHIM_ENGINE_RESTART is '{restart}': give one of {', '.join(RESTART)}")
    if restart == "auto":
        # In place, a liveness probe would kill the pod in the middle of the load; a new container has its
        # startup probe's time again.
        restart = "exit" if in_kubernetes else "in-place"
    # Without Kubernetes nothing needs time to hear that this server is going.
    lame_duck = _seconds(env, "VLLM_SHIM_LAME_DUCK_SECONDS", 5 if in_kubernetes else 0)
    rest = lame_duck + MIDDLEWARE_STOP_SECONDS + ENGINE_STOP_SECONDS + MARGIN_SECONDS
    default = max(1, GRACE_SECONDS - rest)
    if drain_seconds is not None:
        # Counted from SIGTERM, as vLLM does: requests run on through the lame duck's seconds.
        default = max(min(1, drain_seconds), drain_seconds - lame_duck)
    return Settings(
        engine=_command(env),
        restart=restart,
        lame_duck_seconds=lame_duck,
        drain_seconds=_seconds(env, "VLLM_SHIM_DRAIN_SECONDS", default),
        stall_seconds=_stall(env),
    )


def warnings(chosen: Settings) -> tuple[str, ...]:
    if not 0 < chosen.stall_seconds < FIRST_COMPILATION_SECONDS:
        return ()
    why = "the first compilation of a kernel can take ten minutes without a token (MI300X), and would end the engine"
    return (f"{STALL} is {chosen.stall_seconds}: {why}; give {FIRST_COMPILATION_SECONDS} or more",)


def _stall(env: Mapping[str, str]) -> int:
    seconds = _seconds(env, STALL, 0)
    if 0 < seconds < LEAST_STALL_SECONDS:
        raise CommandLineError(
            f"{STALL} is '{seconds}': a long prompt takes longer than that; give {LEAST_STALL_SECONDS} or more seconds,"
            " or 0 to have a stalled engine only reported"
        )
    return seconds


def _seconds(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name) or str(default)
    if not text.isdecimal() or len(text) > LONGEST or int(text) > A_DAY:
        raise CommandLineError(f"{name} is '{text:.40}': give a whole number of seconds, up to {A_DAY}")
    return int(text)


def _command(env: Mapping[str, str]) -> tuple[str, ...]:
    name = "VLLM_SHIM_ENGINE"
    text = env.get(name) or DEFAULT_ENGINE
    try:
        command = shlex.split(text)
    except ValueError as error:
        raise CommandLineError(f"{name} is '{text}': {error}") from error
    if not command:
        raise CommandLineError(f"{name} is blank: give the command that starts SGLang, such as {DEFAULT_ENGINE}")
    return tuple(command)
