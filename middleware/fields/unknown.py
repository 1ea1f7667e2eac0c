"""A field that neither vLLM nor SGLang has is tolerated, as in vLLM, and goes no further.
A repair of the tables that decide each field of theirs: nothing is forwarded that nobody has decided.
"""

import logging
from dataclasses import dataclass

from middleware.fields.draft import Draft
from middleware.fields.record import Field

log = logging.getLogger("middleware.fields")


@dataclass(frozen=True, slots=True)
class Unknown:
    known: frozenset[str]

    def __call__(self, draft: Draft) -> None:
        unknown = draft.fields.keys() - self.known
        if unknown:
            for name in unknown:
                draft.drop(name)
            log.debug("fields that nobody knows, ignored: %s", sorted(unknown))


def unknown_to(fields: tuple[Field, ...], *sent: str) -> Unknown:
    """`sent` are SGLang's fields that only we put in."""
    return Unknown(frozenset(field.name for field in fields) | frozenset(sent))
