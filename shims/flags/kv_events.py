"""`--kv-events-config`: SGLang too publishes what enters and leaves its KV cache. Same socket, a format of its own, so
`translate` has a warning for whoever reads it.
"""

from __future__ import annotations

import json
from typing import Any

from shims.flags.draft import Draft
from shims.flags.record import Flag, Outcome, already, convert, invalid

SWITCH = "enable_kv_cache_events"
TEXTS = ("publisher", "endpoint", "replay_endpoint", "topic")
NUMBERS = ("buffer_steps", "hwm", "max_queue_size")
FORMAT = (
    "--kv-events-config: the messages are SGLang's (block hashes are numbers, blocks are SGLang's pages): whoever reads"
    " them must know SGLang's format; give --block-size for pages of that many tokens"
)


def kv_events_config(draft: Draft, value: Any) -> Outcome:
    if not isinstance(value, dict):
        return invalid(f'give a JSON object such as {{"{SWITCH}": true}}, not {value!r:.60}')
    if unknown := sorted(set(value) - {SWITCH, *TEXTS, *NUMBERS}):
        return invalid(f"vLLM has no {', '.join(unknown)} in it; it has {', '.join((SWITCH, *TEXTS, *NUMBERS))}")
    wrong = [key for key in TEXTS if not isinstance(value.get(key, ""), str | None)]
    wrong += [key for key in NUMBERS if type(value.get(key, 0)) is not int]
    if wrong or not isinstance(value.get(SWITCH, False), bool):
        return invalid(f"{(wrong or [SWITCH])[0]} is {value[(wrong or [SWITCH])[0]]!r:.60}")
    publisher = value.get("publisher") or "zmq"
    if publisher not in ("zmq", "null"):
        return invalid(f"publisher is '{publisher}'; vLLM has zmq and null")
    if not value.get(SWITCH) or publisher == "null":
        return already("nothing is published")
    draft.warnings.append(FORMAT)
    kept = {key: value[key] for key in (*TEXTS, *NUMBERS) if value.get(key) is not None}
    text = json.dumps({"publisher": publisher, **kept}, separators=(",", ":"))
    return draft.emit("--kv-events-config", text)


FLAGS: tuple[Flag, ...] = (convert("--kv-events-config", kv_events_config, to="--kv-events-config"),)
