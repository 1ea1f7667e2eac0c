"""The ids of a request: the one of all our logs, vLLM's for the client, and the one by which SGLang knows it.
Called by `middleware.proxy` for every request whose answer is told in vLLM's words.
"""

import re
import secrets
from collections.abc import Callable, Iterator

from starlette.types import Scope

from middleware.fields.told import Kind, Told
from middleware.headers import ASSIGNED_ID, Headers, header

REQUEST_ID = b"x-request-id"
PREFIXES = {
    Kind.CHAT: "chatcmpl-",
    Kind.COMPLETION: "cmpl-",
    Kind.RESPONSE: "resp_",
    Kind.TOKENS: "generate-tokens-",
}
# SGLang's fields for it.
FIELDS = {Kind.CHAT: "rid", Kind.COMPLETION: "rid", Kind.RESPONSE: "request_id", Kind.TOKENS: "rid"}
RANDOM_BYTES = 8
# Taken from the kernel for so many ids at once.
BLOCK = 512
# What may stand in SGLang's log for the sake of whoever looks for it there.
_PLAIN = re.compile(r"[\w.:@=+/-]{1,128}", re.ASCII)
# As haproxy makes them; anything else in the header is somebody's who asks the middleware itself.
_ASSIGNED = re.compile(rb"[0-9a-f]{16}")
# Where a scope keeps the id.
ID = "vllm-to-sglang.id"


def _fresh() -> Iterator[str]:
    while True:
        block = secrets.token_hex(RANDOM_BYTES * BLOCK)
        yield from (block[at : at + 2 * RANDOM_BYTES] for at in range(0, len(block), 2 * RANDOM_BYTES))


_FRESH = _fresh()


def assigned(scope: Scope) -> str:
    """The id of the request in the logs of haproxy, the middleware and SGLang. Without haproxy it is made here."""
    known: str | None = scope.get(ID)
    if known is None:
        given = header(scope["headers"], ASSIGNED_ID)
        known = given.decode() if given is not None and _ASSIGNED.fullmatch(given) else next(_FRESH)
        scope[ID] = known
    return known


def is_plain(chosen: str) -> bool:
    """Whether an id may be told to SGLang, as a header's value too."""
    return _PLAIN.fullmatch(chosen) is not None


def renew(told: Told) -> None:
    """Another id for a request that is sent again: SGLang may still hold the first, and refuses an id in use. The end
    is that of our logs, and stays."""
    if told.rid:
        end = -2 * RANDOM_BYTES
        told.rid = f"{told.rid[:end]}{next(_FRESH)}-{told.rid[end:]}"


def identify(
    told: Told, headers: Headers, fresh: str | None = None, is_secret: Callable[[str], bool] = lambda _: False
) -> None:
    """The client's id, header before field as in vLLM, or a new one; and what SGLang is told. `fresh`: `assigned`.
    `is_secret`: of an id that holds one of our keys.

    SGLang 0.5.23 refuses an id that is in use, and aborts every request whose id *begins* with that of a client who
    left: an id that a client chose goes on with a random end, so that none is the beginning of another's.
    """
    prefix = PREFIXES.get(told.kind)
    if prefix is None:
        return
    fresh = fresh or next(_FRESH)
    if told.kind is Kind.RESPONSE:  # The client's field is the whole id there, and the header is not asked.
        chosen, told.id = told.request_id, told.request_id or prefix + fresh
    else:
        given = header(headers, REQUEST_ID)
        chosen = given.decode("latin-1") if given is not None else told.request_id
        told.id = prefix + (fresh if chosen is None else chosen)
    field = FIELDS.get(told.kind)
    if field is not None:
        told.rid_field = field
        is_shown = chosen is not None and is_plain(chosen) and not is_secret(chosen)
        told.rid = prefix + (f"{chosen}-{fresh}" if is_shown else fresh)
