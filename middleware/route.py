"""One line of the table of routes: the record, who may call, and under which switch of the policy a path exists.
Filled by `middleware.routes`; read by `router`, `access`, `target` and the proxy.
"""

import enum
from collections.abc import Callable
from dataclasses import dataclass

from middleware.context import Endpoint
from middleware.fields.record import Table
from middleware.fields.told import Kind
from middleware.policy import Policy
from middleware.tasks import Task

GET = ("GET",)
POST = ("POST",)
DELETE = ("DELETE",)


class Access(enum.Enum):
    OPEN = "open"
    KEY = "key"
    # Of vLLM's development server, which is open: with VLLM_SHIM_RL alone a key is asked for, if there is one.
    TRAINER = "trainer"


OPEN = Access.OPEN
KEY = Access.KEY
TRAINER = Access.TRAINER
When = Callable[[Policy], bool]


@dataclass(frozen=True, slots=True)
class Route:
    """With `ours` it is answered here, with `body` the JSON in it is looked at, with neither it goes on as it came.

    What is `tracked` is work for the engine, and counts for /load. Without the `task` the route does not exist, nor
    where `when` says no.
    """

    path: str
    methods: tuple[str, ...]
    access: Access
    body: Table | None = None
    ours: Endpoint | None = None
    tracked: bool = False
    task: Task | None = None
    # Seconds in which SGLang must begin to answer; a generation has all the time it takes.
    within: float | None = None
    when: When | None = None
    # How the answer is told of a request that goes on as it came; a `body` says it of its own.
    answer: Kind = Kind.OTHER
    # Which parameters go on to SGLang of a request that does; None: all that sound like no secret.
    query: frozenset[str] | None = frozenset()


def when(flag: When) -> When:
    """Gives a lambda its type, so that mypy knows the policy's flags."""
    return flag


DEV = when(lambda policy: policy.dev_mode)  # VLLM_SERVER_DEV_MODE=1
RL = when(lambda policy: policy.rl or policy.dev_mode)  # VLLM_SHIM_RL=1, or DEV
SCALE_OUT = when(lambda policy: policy.scale_out)  # --enable-scale-out, or RL
NO_SCALE_OUT = when(lambda policy: not policy.scale_out)
RUNTIME_LORA = when(lambda policy: policy.runtime_lora)  # VLLM_ALLOW_RUNTIME_LORA_UPDATING=1
PROFILER = when(lambda policy: policy.profiler)  # --profiler-config with a profiler
DOCUMENTS = when(lambda policy: policy.documents)  # without --disable-fastapi-docs
STORE = when(lambda policy: policy.response_store)  # VLLM_ENABLE_RESPONSES_API_STORE=1
NO_STORE = when(lambda policy: not policy.response_store)
TOKENIZER_INFO = when(lambda policy: policy.tokenizer_info)  # --enable-tokenizer-info-endpoint
