"""How many GPUs a command line asks for and how the model lies on them, in SGLang's numbers. The areas that size
something by it call `of`; nothing is emitted here.

vLLM 0.33.0 multiplies: tensor * prefill context * data (* pipeline). Its data parallelism is N independent replicas
for a dense model; experts are shared by all of them, which in SGLang 0.5.23 is `--tp-size T*N --attn-dp-size N`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from shims.flags.draft import Draft
from shims.values.moe import ACTIVE_PARAMETERS, EXPERT_COUNTS, NAMES


@dataclass(frozen=True, slots=True)
class World:
    tensor: int
    pipeline: int
    prefill_context: int
    data: int
    experts: bool  # known or assumed to have them
    known: bool  # whether config.json said so

    @property
    def replicas(self) -> int:
        return 1 if self.experts else self.data

    @property
    def attention_groups(self) -> int:
        return self.data if self.experts else 1

    @property
    def tp_size(self) -> int:
        """SGLang's: its attention groups and context ranks lie inside it."""
        return self.tensor * self.prefill_context * self.attention_groups

    @property
    def ranks(self) -> int:
        """Of one replica."""
        return self.tp_size * self.pipeline


def of(draft: Draft) -> World:
    experts = has_experts(draft)
    return World(
        tensor=_size(draft, "--tensor-parallel-size"),
        pipeline=_size(draft, "--pipeline-parallel-size"),
        prefill_context=_size(draft, "--prefill-context-parallel-size"),
        data=1 if stands_alone(draft) else _size(draft, "--data-parallel-size"),
        experts=_looks_like_experts(draft) if experts is None else experts,
        known=experts is not None,
    )


def has_experts(draft: Draft) -> bool | None:
    """None where there is no config.json to read."""
    config = draft.facts.model_config
    if not config:
        return None
    nested = [value for value in config.values() if isinstance(value, dict)]
    return any(_count(level.get(key)) for level in (config, *nested) for key in EXPERT_COUNTS)


def is_external(draft: Draft) -> bool:
    """One server a rank, behind somebody else's load balancer."""
    return bool(draft.given("--data-parallel-external-lb")) or draft.given("--data-parallel-rank") is not None


def stands_alone(draft: Draft) -> bool:
    """Replicas of a dense model behind an outer load balancer know nothing of each other."""
    return is_external(draft) and has_experts(draft) is False


def describe(world: World) -> str:
    """What was assumed, where nobody said it."""
    if world.known:
        return ""
    kind = "a mixture of experts" if world.experts else "a dense model"
    return f"assumed to be {kind}, as there is no local config.json"


def _looks_like_experts(draft: Draft) -> bool:
    if draft.given("--enable-expert-parallel") is not None:
        return bool(draft.given("--enable-expert-parallel"))
    model = draft.command.positional if draft.command.entry == "serve" else None
    name = (model or draft.given("--model") or "").rpartition("/")[2].lower()
    return any(part in name for part in NAMES) or re.search(ACTIVE_PARAMETERS, name) is not None


def _count(value: Any) -> int:
    if isinstance(value, list):  # ERNIE 4.5 VL
        return max((_count(one) for one in value), default=0)
    return value if isinstance(value, int) else 0


def _size(draft: Draft, name: str) -> int:
    """What is no size is refused by the flag's own record."""
    value = draft.given(name)
    return value if isinstance(value, int) and value >= 1 else 1
