"""Walks a table over a request's body: decodes the top level, edits what must change, and splices it together again.
Called by `middleware.proxy`; a body that needs nothing goes out byte for byte as it came in.
"""

import msgspec

from middleware.errors import bad_request
from middleware.fields.draft import Draft
from middleware.fields.record import Action, Field, Table
from middleware.policy import Policy
from middleware.repair.guards import not_an_object, too_deep

# Values stay bytes: 14 times cheaper than a round trip through objects at 1 MB, and no prompt is ever written anew.
_DECODER = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ENCODER = msgspec.json.Encoder()


class Editor:
    """edit = Editor(CHAT, frozenset({"logprobs"}), policy)
    body = edit(body)       # or Refused
    """

    __slots__ = ("_checks", "_fields", "_policy", "_repairs", "_strip")

    def __init__(self, table: Table, strip: frozenset[str], policy: Policy | None = None) -> None:
        self._policy = policy or Policy()
        self._strip = tuple(sorted(strip))
        self._fields = tuple(field for field in table.fields if field.action is not Action.SAME)
        self._repairs = table.repairs
        self._checks = table.checks

    def __call__(self, body: bytes) -> bytes:
        try:
            fields = _DECODER.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            raise not_an_object(body) from exc
        draft = Draft(fields, self._policy)
        try:
            self._edit(draft)
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise not_an_object(body) from exc
        except RecursionError as exc:
            raise too_deep() from exc
        return _ENCODER.encode(draft.fields) if draft.changed else body

    def _edit(self, draft: Draft) -> None:
        fields = draft.fields
        for name in self._strip:
            if name in fields:
                draft.drop(name)
        touched = False
        for field in self._fields:
            if field.name in fields:
                _apply(field, draft)
                touched = touched or field.action is not Action.CHECK
        for repair in self._repairs:
            repair(draft)
        if touched:
            for check in self._checks:
                check(draft)


def _apply(field: Field, draft: Draft) -> None:
    name = field.name
    if field.converter is not None:
        field.converter(draft, name)
        return
    given = draft.given(name)
    if field.action is Action.REFUSE and given:
        raise bad_request(f"{name} is not supported: {field.why}.", name)
    raw = draft.fields[name]
    draft.drop(name)
    if field.action is Action.RENAME and given:
        draft.put(field.target, raw)
