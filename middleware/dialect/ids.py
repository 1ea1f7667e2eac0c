"""The id of an answer: vLLM's for the client, and the one by which SGLang knows the request.
Called by `middleware.proxy` for every request whose answer is told in vLLM's words.
"""

import re
import secrets
from collections.abc import Iterator

from middleware.fields.told import Kind, Told
from middleware.headers import Headers, header

REQUEST_ID = b"x-request-id"
PREFIXES = {Kind.CHAT: "chatcmpl-", Kind.COMPLETION: "cmpl-", Kind.RESPONSE: "resp_"}
# SGLang's fields for it.
FIELDS = {Kind.CHAT: "rid", Kind.COMPLETION: "rid", Kind.RESPONSE: "request_id"}
RANDOM_BYTES = 8
# Taken from the kernel for so many ids at once.
BLOCK = 512
# What may stand in SGLang's log for the sake of whoever looks for it there.
_PLAIN = re.compile(r"[\w.:@=+/-]{1,128}", re.ASCII)


def _fresh() -> Iterator[str]:
    while True:
        block = secrets.token_hex(RANDOM_BYTES * BLOCK)
        yield from (block[at : at + 2 * RANDOM_BYTES] for at in range(0, len(block), 2 * RANDOM_BYTES))


_FRESH = _fresh()


def is_plain(chosen: str) -> bool:
    """Whether an id may be told to SGLang, as a header's value too."""
    return _PLAIN.fullmatch(chosen) is not None


def renew(told: Told) -> None:
    """Another end for a request that is sent again: SGLang may still hold the first, and refuses an id in use."""
    if told.rid:
        told.rid = told.rid[: -2 * RANDOM_BYTES] + next(_FRESH)


def identify(told: Told, headers: Headers) -> None:
    """The client's id, header before field as in vLLM, or a new one; and what SGLang is told.

    SGLang 0.5.23 refuses an id that is in use, and aborts every request whose id *begins* with that of a client who
    left: an id that a client chose goes on with a random end, so that none is the beginning of another's.
    """
    prefix = PREFIXES.get(told.kind)
    if prefix is None:
        return
    fresh = next(_FRESH)
    if told.kind is Kind.RESPONSE:  # The client's field is the whole id there, and the header is not asked.
        chosen, told.id = told.request_id, told.request_id or prefix + fresh
    else:
        given = header(headers, REQUEST_ID)
        chosen = given.decode("latin-1") if given is not None else told.request_id
        told.id = prefix + (fresh if chosen is None else chosen)
    field = FIELDS.get(told.kind)
    if field is not None:
        told.rid_field = field
        told.rid = prefix + (f"{chosen}-{fresh}" if chosen is not None and is_plain(chosen) else fresh)
