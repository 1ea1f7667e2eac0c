"""Walks a table over a request's body: decodes the top level, edits what must change, and splices it together again.
Called by `middleware.proxy`; a body that needs nothing goes out byte for byte as it came in.
"""

import msgspec

from middleware.errors import Refused, bad_request
from middleware.fields.draft import Draft
from middleware.fields.record import Action, Field, Table
from middleware.fields.told import told
from middleware.policy import Policy
from middleware.repair.guards import not_an_object, too_deep

# Values stay bytes: 14 times cheaper than a round trip through objects at 1 MB, and no prompt is ever written anew.
_DECODER = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ENCODER = msgspec.json.Encoder()
# The rule by which a field goes that VLLM_SHIM_STRIP_PARAMS names.
STRIPPED = "strip_params"
# SGLang (0.5.23) reads the header on its OpenAI routes alone.
GENERATE, RANK = b"/generate", "routed_dp_rank"


class Editor:
    """edit = Editor(CHAT, frozenset({"logprobs"}), policy)
    draft = edit.open(body)   # decided, or Refused; `preparation` may still change it
    body = edit.close(draft)
    body = edit(body)         # both
    """

    __slots__ = ("_answer", "_fields", "_numbers", "_prompts", "_repairs", "_strip", "policy", "table")

    def __init__(self, table: Table, strip: frozenset[str], policy: Policy | None = None) -> None:
        self.policy = policy or Policy()
        self._strip = tuple(sorted(strip))
        self._fields = tuple(field for field in table.fields if field.action is not Action.SAME)
        self._numbers = {field.name: number for number, field in enumerate(self._fields)}
        self._repairs = tuple(table.repairs.items())
        self._answer = table.answer
        self.table = table.name
        self._prompts = table.prompts

    def __call__(self, body: bytes) -> bytes:
        return self.close(self.open(body))

    def open(self, body: bytes, *, prepared: bool = False) -> Draft:
        """`prepared` promises that somebody runs the draft's deferred checks."""
        try:
            fields = _DECODER.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            raise not_an_object(body) from exc
        draft = Draft(fields, self.policy, told(self._answer, fields), body)
        draft.prompts = self._prompts
        if prepared:
            draft.deferred = []
        if self.policy.force_include_usage:
            draft.told.include_usage = draft.told.continuous_usage = True
        try:
            self._edit(draft)
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise not_an_object(body) from exc
        except RecursionError as exc:
            raise too_deep() from exc
        return draft

    @staticmethod
    def close(draft: Draft, rank: int | None = None) -> bytes:
        """The body as it goes to SGLang, under the id that it was given."""
        if rank is not None and draft.told.target == GENERATE and not draft.given(RANK):
            draft.replace(RANK, rank)
        rid, name = draft.told.rid, draft.told.rid_field
        if not rid:
            return _ENCODER.encode(draft.fields) if draft.changed else draft.body
        if not draft.changed and draft.fields and name not in draft.fields:
            # Nothing else changes, so nothing else is touched.
            body = memoryview(draft.body)[: draft.body.rindex(b"}")]
            # Of 1 MB this is 20 us, and with a format 500.
            return b"".join((body, b',"%b":%b}' % (name.encode(), _ENCODER.encode(rid))))
        draft.replace(name, rid)
        return _ENCODER.encode(draft.fields)

    def _edit(self, draft: Draft) -> None:
        fields = draft.fields
        for name in self._strip:
            if name in fields:
                draft.drop(name)
                draft.rules.append(STRIPPED)
        draft.sent = dict(fields)
        self._walk(draft)
        name = ""
        edits = draft.edits
        try:
            for name, repair in self._repairs:
                repair(draft)
                if draft.edits != edits:
                    edits = draft.edits
                    draft.rules.append(name)
        except Refused as refused:
            refused.rule = refused.rule or name
            raise

    def _walk(self, draft: Draft) -> None:
        """In the table's order, what a converter puts in included."""
        fields, numbers = draft.fields, self._numbers
        last = -1
        while True:
            draft.added = False
            # A request has five fields of the hundred and more.
            for last in sorted([number for name in fields if (number := numbers.get(name, -1)) > last]):
                field = self._fields[last]
                if field.name in fields:
                    edits = draft.edits
                    try:
                        _apply(field, draft)
                    except Refused as refused:
                        refused.rule = field.name
                        raise
                    if draft.edits != edits:
                        draft.rules.append(field.name)
                    if draft.added:
                        break
            else:
                return


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
