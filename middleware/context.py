"""What an endpoint of ours may reach: the settings, the engine's state, the model, and the ways to ask SGLang.
Made by `middleware.app`, handed to every function in `middleware.endpoints`.
"""

import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from middleware.calls import Calls
from middleware.engine import Engine
from middleware.load import Load
from middleware.metrics.served import Metrics
from middleware.model import Model
from middleware.prompt.traits import Traits
from middleware.settings import Settings
from middleware.sleeping import Sleeping
from middleware.weights.weights import Weights

# No limit on connections: with httpx's hundred, a hundred slow scrapes would hold up a change of adapters.
# SGLang closes what was idle for 5 s (SGLANG_TIMEOUT_KEEP_ALIVE), and so would httpx: who then sends first loses.
CONTROL_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=2.0)

# A chat's fields to the token ids that vLLM would show the model; None where SGLang's own rendering is as good.
Render = Callable[[dict[str, Any]], Awaitable[list[int] | None]]


@dataclass(frozen=True, slots=True)
class Context:
    settings: Settings
    engine: Engine
    control: httpx.AsyncClient  # small calls that change the engine
    load: Load
    model: Model
    calls: Calls  # work for the engine on behalf of a request
    again: ASGIApp  # a request of ours through the table of routes, past the keys
    metrics: Metrics
    paths: Mapping[str, tuple[str, ...]]  # and their methods, for the documents
    weights: Weights
    sleeping: Sleeping
    render: Render | None = None
    traits: Callable[[], Traits] = Traits  # of the chat template, as far as it is known by now


Endpoint = Callable[[Context, Request], Awaitable[Response]]


def control_client(settings: Settings) -> httpx.AsyncClient:
    """For the few small calls beside the data path; proxies of the environment are not for loopback."""
    # Plain HTTP only: to load the certificates of the world takes 50 ms and some megabytes.
    no_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return httpx.AsyncClient(
        base_url=settings.upstream_url, limits=CONTROL_LIMITS, trust_env=False, verify=no_tls, follow_redirects=True
    )
