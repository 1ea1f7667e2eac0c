"""/api/chat and /api/generate, SGLang's answer to Ollama's clients: `options` are sampling parameters by other names.
A table for `fields.edit`; each option is held to what `fields.native_sampling` says of SGLang's own.
"""

from typing import Any

import msgspec

from middleware.errors import bad_value
from middleware.fields import names
from middleware.fields.bound import Asking, Server
from middleware.fields.draft import Draft
from middleware.fields.kinds import DICT, LIST
from middleware.fields.native_sampling import LENGTH, PARAMS
from middleware.fields.record import Table
from middleware.fields.told import Kind
from middleware.fields.typed import takes

PREDICT = "num_predict"
# Of a request that does not say.
IMPLIED_LENGTH = 2048

_OPTIONS = msgspec.json.Decoder(dict[str, msgspec.Raw])
# SGLang 0.5.23 puts a seed where it has no parameter for one; all other options it ignores.
_TAKEN = ("temperature", "top_p", "top_k", "stop", "presence_penalty", "frequency_penalty")
_CONVERTERS = {field.name: field.converter for field in PARAMS if field.converter is not None}


def _options(draft: Draft, name: str, value: Any) -> None:
    inner = Draft(_OPTIONS.decode(draft.fields[name]), draft.policy)
    for option in tuple(inner.fields):
        if option not in (*_TAKEN, PREDICT):
            inner.drop(option)
        else:
            _CONVERTERS[LENGTH if option == PREDICT else option](inner, option)
    if inner.changed:
        draft.replace(name, inner.fields)


def _capped(draft: Draft) -> None:
    cap = draft.policy.max_new_tokens
    options = draft.value("options") or {}
    wanted = options.get(PREDICT, IMPLIED_LENGTH)
    if cap and wanted > cap:
        draft.replace("options", {**options, PREDICT: cap})


def _some(draft: Draft, name: str, value: Any) -> None:
    if not value:
        raise bad_value(f"{name} must not be empty.", name)


def _base(draft: Draft, server: Server) -> None:
    """SGLang looks at no name here, and has no adapter to choose."""
    name = draft.value(names.MODEL)
    if isinstance(name, str) and server.model.adapter(name) is not None:
        raise bad_value(f"The adapter `{name}` is not served on this route.", names.MODEL)


OLLAMA = Table(
    "ollama",
    answer=Kind.NATIVE,
    prompts=True,
    fields=(
        takes("messages", LIST, "an empty list is SGLang's 500", then=_some),
        takes("options", DICT, "of those there are", then=_options),
    ),
    repairs={"options": Asking(_base), "model": names.named, "capped": _capped},
)
