"""What is counted of a request when its answer is there, or is not to be had.
Called by `middleware.proxy` and by `middleware.app`; the words are those of `table.ours` and `table.requests`.
"""

from middleware.dialect.room import LENGTHS
from middleware.engine import NOT_READY
from middleware.errors import Refused, type_of
from middleware.fields.completions import DEFAULT_LENGTH
from middleware.fields.draft import Draft
from middleware.fields.told import ERROR, FULL, REJECTED, Kind, Told
from middleware.metrics.counts import Counts
from middleware.upstream import BadResponse, ConnectFailed, NoAnswer, UpstreamError

CUT_SHORT = "cut_short"
_KINDS: dict[type[UpstreamError], str] = {
    ConnectFailed: "unreachable",
    NoAnswer: "no_answer",
    BadResponse: "bad_answer",
}
# Of what SGLang answers with 503: --max-queued-requests. It has no limit of tokens.
QUEUE_FULL = "max_num_queued_reqs"


def settle_length(draft: Draft) -> None:
    """Where the client gives no length, that of the server's defaults, and of vLLM's for completions."""
    told = draft.told
    if told.max_tokens is None:
        lengths = (draft.number(name) for name in LENGTHS.get(told.kind, ()) if draft.given(name))
        told.max_tokens = next(lengths, DEFAULT_LENGTH if told.kind is Kind.COMPLETION else None)


def answered(counts: Counts, told: Told, longest: int | None) -> None:
    """A generation that has come to its end, whatever that is."""
    if REJECTED in told.ends:
        counts.rejected.inc(QUEUE_FULL)
        return
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
    for _ in range(max(0, told.choices - len(told.ends))):
        told.ends.append(ERROR)
    counts.ended(told.ends)


def kind_of(failure: UpstreamError) -> str:
    return _KINDS.get(type(failure), "closed")


def refused(counts: Counts, no: Refused) -> None:
    """By us, before SGLang was asked, or in its words where an endpoint of ours did ask it."""
    _count(counts, no.rule, no.response.status_code)


def objected(counts: Counts, status: int, body: bytes) -> None:
    """By SGLang, which answers an error."""
    _count(counts, objection(status, body), status)


def objection(status: int, body: bytes) -> str:
    """The rule of a refusal that is SGLang's; empty for a failure."""
    if status == 503 and FULL.encode() in body:
        return QUEUE_FULL
    return "" if status >= 500 else f"engine:{type_of(status)}"


def _count(counts: Counts, rule: str, status: int) -> None:
    if rule == QUEUE_FULL:
        counts.rejected.inc(rule)
    elif status < 500 or rule == NOT_READY:
        counts.refused.inc(rule or type_of(status), str(status))
    else:
        counts.failed.inc(rule or str(status))
