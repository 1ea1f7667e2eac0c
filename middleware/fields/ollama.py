"""/api/chat and /api/generate, SGLang's answer to Ollama's clients: `options` are sampling parameters by other names.
A table for `fields.edit`; each option is held to what `fields.native_sampling` says of SGLang's own.
"""

from typing import Any

import msgspec

from middleware.fields.draft import Draft
from middleware.fields.kinds import DICT
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


OLLAMA = Table("ollama", answer=Kind.NATIVE, fields=(takes("options", DICT, "of those there are", then=_options),),
               repairs=(_capped,))  # fmt: skip
