"""`model`: 404 for a name that is not served, in vLLM's words; an alias becomes the first.
Repairs of the tables; what the client called the model is kept for the answer by `fields.told`.
"""

import re

from middleware.errors import Refused, bad_value, error
from middleware.fields.bound import Asking, Server
from middleware.fields.draft import Draft
from middleware.fields.kinds import shown

MODEL = "model"
LORA = "lora_path"

# vLLM's own: a path of the server has no place in an error, nor has one that the client sent.
_PATHS = (
    re.compile(r"/(?:home|usr|opt|var|tmp|root|lib|mnt|srv)(?:/[\w.\-]+)+"),
    re.compile(r"(?:/[\w\-]+)+/[\w\-]+\.\w+"),
)


def _named(draft: Draft, server: Server) -> None:
    model = server.model
    name = draft.value(MODEL)
    if not isinstance(name, str) or not name:
        if MODEL in draft.fields:
            draft.drop(MODEL)
        return
    if not model.knows(name):
        raise no_such_model(name, model.names)
    adapter = model.adapter(name)
    if adapter is not None:
        draft.replace(LORA, adapter)
    if model.names and name != model.names[0]:
        draft.replace(MODEL, model.names[0])


def no_such_model(name: str, served: tuple[str, ...]) -> Refused:
    words = f"The model `{name}` does not exist. Valid aliases: {', '.join(served)}."
    for path in _PATHS:
        words = path.sub("<path>", words)
    return Refused(error(404, words, param=MODEL))


def adapters_known(draft: Draft, server: Server) -> None:
    """SGLang's own way to name an adapter: one that is not there, or no longer, is not for a client to find out."""
    given = draft.value(LORA)
    if given is None:
        if LORA in draft.fields:
            draft.drop(LORA)
        return
    if isinstance(given, list):
        inside: object = [None if name is None else _adapter(name, server) for name in given]
    else:
        inside = _adapter(given, server)
    if inside != given:
        draft.replace(LORA, inside)


def _adapter(name: object, server: Server) -> str:
    """What SGLang calls it."""
    inside = server.model.adapter(name) if isinstance(name, str) else None
    if inside is None:
        raise bad_value(f"The lora adapter '{shown(name)}' cannot be found.", LORA)
    return inside


def _adapters_of_prompts(draft: Draft, server: Server) -> None:
    """A list with one for each prompt where there are several; one for a single prompt ends SGLang 0.5.23."""
    raw, prompts = draft.fields.get(LORA), draft.told.prompts
    if raw is not None and bytes(memoryview(raw)[:1]) == b"[":
        given = draft.value(LORA)
        if prompts < 2 or len(given) != prompts:
            raise bad_value(f"{LORA} must be one adapter's name, or one for each of several prompts.", LORA)
    adapters_known(draft, server)


def _fits(draft: Draft, server: Server) -> None:
    """No answer is longer than the context; one that does not fit beside its prompt is SGLang's to find out."""
    limit = server.model.context_length
    if limit is None:
        return
    for name in ("max_completion_tokens", "max_tokens"):
        if name not in draft.fields:
            continue
        wanted = draft.number(name)
        if wanted is not None and wanted > limit:
            words = f"{name}={wanted} cannot be greater than max_model_len={limit}. Please request fewer output tokens."
            raise bad_value(words, name, wanted)
        return


adapter_given = Asking(_adapters_of_prompts)
# Where such lists have been counted.
adapters_given = Asking(adapters_known)
named = Asking(_named)
fits = Asking(_fits)
