"""A policy with the switches of the routes: what VLLM_SERVER_DEV_MODE and its like would put there."""

from __future__ import annotations

from dataclasses import dataclass

from middleware.policy import Policy


@dataclass(frozen=True, slots=True)
class Switched(Policy):
    dev_mode: bool = False
    runtime_lora: bool = False
    profiler: bool = False
    documents: bool = True
    task: str = ""
    model_path: str = ""
    any_model_name: bool = False
    response_store: bool = False
