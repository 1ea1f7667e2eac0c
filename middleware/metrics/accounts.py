"""What is counted of a request when its answer is there, or is not to be had.
Called by the middleware's `proxy`, `app` and `calls`; the words are those of `table.ours` and `table.requests`.
"""

import logging

from starlette.types import Scope

from middleware.dialect.ids import assigned
from middleware.dialect.room import LENGTHS, headroom
from middleware.engine import NOT_READY
from middleware.errors import Refused, type_of
from middleware.errors_log import RECORD
from middleware.fields.completions import DEFAULT_LENGTH
from middleware.fields.draft import Draft
from middleware.fields.told import ERROR, FULL, REJECTED, Kind, Told
from middleware.metrics.counts import Counts
from middleware.upstream import BadResponse, ConnectFailed, NoAnswer, UpstreamError

log = logging.getLogger("middleware.proxy")

CUT_SHORT = "cut_short"
# A stream's event that says so, in the middle of a 200.
TOLD_ERROR = "error"
SAID = {ERROR: "The engine told an error in the middle of its answer.", REJECTED: "The engine's queue was full."}
_KINDS: dict[type[UpstreamError], str] = {
    ConnectFailed: "unreachable",
    NoAnswer: "no_answer",
    BadResponse: "bad_answer",
}
# What the client is answered with in the end; in the middle of an answer it was 200.
_STATUS = {"unreachable": 503, "no_answer": 504, CUT_SHORT: 200}
# Of what SGLang answers with 503: --max-queued-requests. It has no limit of tokens.
QUEUE_FULL = "max_num_queued_reqs"


def settle_length(draft: Draft) -> None:
    """As the rules have left it: vLLM, too, counts what its caps and defaults made of it. For completions it has one
    of its own."""
    told = draft.told
    asked = (draft.number(name) for name in LENGTHS.get(told.kind, ()) if draft.given(name))
    wanted = next(asked, DEFAULT_LENGTH if told.kind is Kind.COMPLETION else None)
    told.max_tokens = wanted - headroom(draft) if wanted is not None else None


def answered(counts: Counts, scope: Scope, told: Told, longest: int | None) -> None:
    """A generation that has come to its end, whatever that is."""
    if REJECTED in told.ends:
        counts.rejected.inc(QUEUE_FULL)
        _told_in_a_stream(counts, scope, QUEUE_FULL, REJECTED)
        return
    if ERROR in told.ends:
        counts.failed.inc(TOLD_ERROR)
        _told_in_a_stream(counts, scope, TOLD_ERROR, ERROR)
    if not told.ends:
        return
    counts.ended(told.ends)
    if told.kind is Kind.NATIVE:
        return
    for _ in range(told.prompts):
        counts.params_n.observe(float(told.n))
    prompt = len(told.prompt_token_ids) if told.prompt_token_ids is not None else told.prompt_tokens or 0
    room = longest - prompt if longest is not None else None
    wanted = [length for length in (told.max_tokens, room) if length is not None]
    if wanted:
        for _ in told.ends:
            counts.params_max_tokens.observe(float(min(wanted)))


def unanswered(counts: Counts, told: Told) -> None:
    """A generation that SGLang did not bring to its end: every choice that has none is an error."""
    told.ends += [ERROR] * (told.choices - len(told.ends))
    counts.ended(told.ends)


def kind_of(failure: UpstreamError) -> str:
    return _KINDS.get(type(failure), "closed")


def refused(counts: Counts, scope: Scope, no: Refused) -> None:
    """By us, before SGLang was asked, or in its words where an endpoint of ours did ask it."""
    _count(counts, scope, no.rule, no.response.status_code)


def turned_away(counts: Counts, scope: Scope, reason: str, status: int) -> None:
    """Before anything of the request was looked at."""
    _count(counts, scope, reason, status)


def objected(counts: Counts, scope: Scope, status: int, body: bytes) -> None:
    """By SGLang, which answers an error."""
    _count(counts, scope, objection(status, body), status)


def failed(counts: Counts, scope: Scope, kind: str) -> None:
    """By SGLang, which gives no answer, or half of one."""
    counts.failed.inc(kind)
    counts.recent.note(scope, _STATUS.get(kind, 502), kind)


def fault(counts: Counts, scope: Scope) -> None:
    counts.faults.inc()
    counts.recent.note(scope, 500, "fault")


def objection(status: int, body: bytes) -> str:
    """The rule of a refusal that is SGLang's; empty for a failure."""
    if status == 503 and FULL.encode() in body:
        return QUEUE_FULL
    return "" if status >= 500 else f"engine:{type_of(status)}"


def _told_in_a_stream(counts: Counts, scope: Scope, reason: str, end: str) -> None:
    counts.recent.note(scope, 200, reason)
    if end == ERROR:
        log.warning("%s: SGLang told an error in the middle of its answer", assigned(scope))
    if (record := RECORD.get()) is not None:
        record.cut_short = SAID[end]


def _count(counts: Counts, scope: Scope, rule: str, status: int) -> None:
    reason = rule or (type_of(status) if status < 500 else str(status))
    counts.recent.note(scope, status, reason)
    if rule == QUEUE_FULL:
        counts.rejected.inc(rule)
    elif status < 500 or rule == NOT_READY:
        counts.refused.inc(reason, str(status))
    else:
        counts.failed.inc(reason)
