"""Our own variables, VLLM_SHIM_*, read once into a frozen record. Called by `plan`."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from middleware.admin import opened
from middleware.settings import SettingsError, exposed_routes
from shims.exceptions import CommandLineError
from shims.values.whole import A_DAY, whole

DEFAULT_ENGINE = "python3 -m sglang.launch_server"
# Kubernetes kills after 30 s, and the chart has no setting for it: lame duck, drain and the rest fit below.
GRACE_SECONDS = 30
LAME_DUCK_SECONDS = 5
LAST_WORDS_SECONDS = 1  # supervision/drain.py: the error events of what outlasts the drain
MIDDLEWARE_STOP_SECONDS = 3
ENGINE_STOP_SECONDS = 5
MARGIN_SECONDS = 1
# Behind the drain.
REST_SECONDS = LAST_WORDS_SECONDS + MIDDLEWARE_STOP_SECONDS + ENGINE_STOP_SECONDS
STALL = "VLLM_SHIM_STALL_SECONDS"
DUMP_ERRORS = "VLLM_SHIM_DUMP_ERRORS"
RL = "VLLM_SHIM_RL"
TRAINED = "whoever calls may pause the engine and replace its weights and adapters"
# A step of the largest prefill is silent for that long, and so is a start's first request while kernels are compiled.
LEAST_STALL_SECONDS = 10
FIRST_COMPILATION_SECONDS = 600
RESTART = ("auto", "exit", "in-place")


@dataclass(frozen=True, slots=True)
class Settings:
    engine: tuple[str, ...]
    restart: str  # exit or in-place
    lame_duck_seconds: int
    drain_seconds: int
    stall_seconds: int  # 0: a stalled engine is only reported
    access_log: bool = False  # haproxy tells of every request, not of failures alone
    dump_errors: bool = False  # requests that fail are written down, prompts and all
    rl: bool = False  # a trainer's routes: weights, pause, tokens in and out

    @property
    def stop_seconds(self) -> int:
        """From SIGTERM to the exit, at most; what Kubernetes' grace period must not be below."""
        return self.lame_duck_seconds + self.drain_seconds + REST_SECONDS


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
    lame_duck = _seconds(env, "VLLM_SHIM_LAME_DUCK_SECONDS", LAME_DUCK_SECONDS)
    default = max(1, GRACE_SECONDS - lame_duck - REST_SECONDS - MARGIN_SECONDS)
    if drain_seconds is not None:
        # Counted from SIGTERM, as vLLM does: requests run on through the lame duck's seconds.
        default = max(min(1, drain_seconds), drain_seconds - lame_duck)
    return Settings(
        engine=_command(env),
        restart=restart,
        lame_duck_seconds=lame_duck,
        drain_seconds=_seconds(env, "VLLM_SHIM_DRAIN_SECONDS", default),
        stall_seconds=_stall(env),
        access_log=_switch(env, "VLLM_SHIM_ACCESS_LOG"),
        dump_errors=_switch(env, DUMP_ERRORS),
        rl=_switch(env, RL),
    )


def warnings(chosen: Settings, *, in_kubernetes: bool, grace_seconds: int | None = None) -> tuple[str, ...]:
    """`grace_seconds`: the pod's own, where it is known."""
    found = []
    grace = GRACE_SECONDS if grace_seconds is None else grace_seconds
    if 0 < chosen.stall_seconds < FIRST_COMPILATION_SECONDS:
        why = "a first compilation of a kernel can take ten minutes without a token, and would end the engine"
        found.append(f"{STALL} is {chosen.stall_seconds}: {why}; give {FIRST_COMPILATION_SECONDS} or more")
    if in_kubernetes and chosen.stop_seconds >= grace:
        found.append(
            f"the end takes up to {chosen.stop_seconds} s and Kubernetes kills after {grace} s:"
            f" give the pod a terminationGracePeriodSeconds of more than {chosen.stop_seconds}"
        )
    if chosen.dump_errors:
        found.append(f"{DUMP_ERRORS} is set: the prompts of requests that fail are written to errors.log")
    if chosen.rl:
        found.append(f"{RL} is set: {TRAINED}; with an API key it is asked for, without one keep strangers away")
    return tuple(found)


def _switch(env: Mapping[str, str], name: str) -> bool:
    text = env.get(name) or "0"
    if text not in ("0", "1"):
        raise CommandLineError(f"{name} is '{text:.40}': give 0 or 1")
    return text == "1"


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
    seconds = whole(text)
    if seconds is None or seconds > A_DAY:
        raise CommandLineError(f"{name} is '{text:.40}': give a whole number of seconds, up to {A_DAY}")
    return seconds


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
