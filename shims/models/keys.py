"""THE table of a models file: every key, what it takes, what it is without it, and what it is for.
`read` walks it, and `schema` makes docs/models.schema.json of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shims.models import kinds
from shims.models.kinds import Kind
from switcher.spec import Tier

TIERS = tuple(tier.value for tier in Tier)


@dataclass(frozen=True, slots=True)
class Key:
    name: str
    kind: Kind
    why: str
    default: Any = None  # without it; None: see `why`


LIMITS: tuple[Key, ...] = (
    Key("queue", kinds.NUMBER, "requests that may wait for this model; one more is a 429", 256),
    Key("concurrency", kinds.COUNT, "requests it serves at once; 0: no limit but its own", 0),
    Key("max_wait", kinds.SECONDS, "after so long a waiting request takes its turn, whoever else is busy", 30),
    Key("min_residency", kinds.SECONDS, "it stays at least so long; without it three times a measured switch"),
    Key(
        "drain",
        kinds.SECONDS,
        "running requests have so long to finish before it goes; then they end with an error",
        30,
    ),
    Key("ready", kinds.SECONDS, "limit of a start, from the process to the first token", 600),
    Key("switch", kinds.SECONDS, "limit of one step of a switch: release, resume, reload", 120),
    Key("upstream", kinds.SECONDS, "limit for the head of an answer; 0: none", 0),
)

MODEL: tuple[Key, ...] = (
    Key("serve", kinds.WORDS, "what stands after `vllm serve`: the model, then its flags"),
    Key("cmd", kinds.WORDS, "in place of `serve`: any other server's command; `${PORT}` in it is its port"),
    Key("name", kinds.NAME, "how requests name it; without it the first --served-model-name, or the model"),
    Key("aliases", kinds.NAMES, "more names for it", ()),
    Key("port", kinds.PORT, "where its server listens on 127.0.0.1; without it one is chosen"),
    Key("health", kinds.PATH, "of a `cmd`: the path that answers 200 when it is ready", "/health"),
    Key("devices", kinds.DEVICES, "the GPUs it runs on, by number; []: none; without it, it may be on any of them"),
    Key("memory_gib", kinds.GIB, "what it takes of each of its devices; without it all of it"),
    Key("host_memory_gib", kinds.GIB, "what it keeps of the host's memory while it is asleep in tier cpu"),
    Key("env", kinds.ENV, "variables for its process alone, and for the translation of its flags", {}),
    Key(
        "tier",
        kinds.choice(*TIERS),
        "where it goes when others need its devices: cpu (weights in the host's memory), disk (released, read again),"
        " stopped (its process ends)",
        "stopped",
    ),
    Key("ttl", kinds.SECONDS, "idle for so long it goes to its tier, although nobody needs its place; 0: never", 0),
    Key("pin", kinds.SWITCH, "it is never put away for another model", False),
    Key("preload", kinds.SWITCH, "it is started when the server is", False),
    Key("priority", kinds.NUMBER, "its share of the time while several models wait, against the others' numbers", 1),
    Key("group", kinds.TEXT, "models of one group fit together, on your word, and are awake side by side", ""),
    Key("limits", Kind("a mapping of limits", {}, dict), "how long it may take, and how much it may hold", {}),
)

TOP: tuple[Key, ...] = (
    Key("models", Kind("a list of models", {}, list), "the models, in the order in which /v1/models names them"),
    Key("default", kinds.NAME, "the model of requests that name none, and the one that is awake when nobody asks"),
    Key("common", kinds.WORDS, "flags of `vllm serve` that stand before each model's own", ()),
    Key("default_after", kinds.SECONDS, "idle for so long, and the default comes back; 0: it does not", 60),
    Key("device_memory_gib", kinds.MEMORIES, "how much memory a device has; without it what the driver says"),
    Key("slots", kinds.NUMBER, "how many models without `devices` may be awake at once; a group counts as one", 1),
    Key("host_memory_gib", kinds.GIB, "for the models asleep in tier cpu together; without it nobody counts"),
    Key("queue", kinds.NUMBER, "requests that may wait, of all models together; one more is a 429", 1024),
    Key("request", kinds.SECONDS, "a request that has waited so long is answered 503", 600),
    Key("page", kinds.PORT, "the port of the page for people, on 127.0.0.1; without it there is none"),
)
