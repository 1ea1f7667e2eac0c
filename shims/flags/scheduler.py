"""How many requests and tokens a step holds, who waits, and who comes first."""

from __future__ import annotations

from shims.flags import world
from shims.flags.answers import NOT_YET, not_served_yet
from shims.flags.draft import Draft
from shims.flags.record import Flag, Outcome, already, convert, drop, invalid, ours, refuse, refused

# SGLang 0.5.23 asserts that its page divides the prefill chunk; its own choices of page go up to 64 (trtllm, FlashMLA).
PAGE = 64


def max_num_seqs(draft: Draft, value: int) -> Outcome:
    """SGLang divides its number by the attention groups; vLLM's is for each of them."""
    if value < 1:
        return invalid(f"{value} is not a number of requests: give 1 or more")
    return _max_running(draft)


def running(draft: Draft) -> int | None:
    """vLLM's number of requests that run at once on one data parallel rank; None: not given."""
    given = [draft.given("--max-num-seqs"), draft.given("--max-num-active-seqs")]
    return min((number for number in given if number), default=None)


def _max_running(draft: Draft) -> Outcome:
    groups, number = world.of(draft).attention_groups, running(draft) or 1
    note = f"{number} for each of {groups} attention groups" if groups > 1 else ""
    return draft.emit("--max-running-requests", number * groups, note=note)


def max_num_batched_tokens(draft: Draft, value: int) -> Outcome:
    if value < 1:
        return invalid(f"{value} is not a number of tokens: give 1 or more")
    if draft.given("--enable-chunked-prefill") is False:
        return draft.emit("--max-prefill-tokens", value)
    page = max(PAGE, int(draft.engine_args.get("--page-size", ("1",))[0]))
    chunk = value - value % page if value >= page else value
    groups = world.of(draft).attention_groups
    notes = [f"{chunk} is a multiple of SGLang's page"] if chunk != value else []
    notes += [f"{chunk} for each of {groups} attention groups, by which SGLang divides it"] if groups > 1 else []
    flags = (("--chunked-prefill-size", chunk * groups), ("--max-prefill-tokens", value))
    return draft.emit_all(*flags, note="; ".join(notes))


def chunked_prefill(draft: Draft, value: bool) -> Outcome:
    return already("on by default in SGLang") if value else draft.emit("--chunked-prefill-size", -1)


def max_num_queued_reqs(draft: Draft, value: int) -> Outcome:
    """vLLM counts what runs and what waits, over all data parallel ranks; SGLang counts what waits, on each. One may
    always wait: a request that could run at once passes through the queue too."""
    if value < 1:
        return refused("0 turns every request away") if value == 0 else invalid(f"{value}: give 0 or more")
    ranks, number = world.of(draft).data, running(draft)
    if number is None:
        draft.warnings.append(
            "--max-num-queued-reqs: without --max-num-seqs it is not known how many run, so it limits the waiting ones"
            " only; give both"
        )
    waiting = max(1, (value - (number or 0) * ranks) // ranks)
    if number is not None and value <= number * ranks:
        draft.warnings.append(
            f"--max-num-queued-reqs {value} is not above what may run ({number * ranks}): SGLang lets one wait besides"
        )
    note = "SGLang counts waiting requests only, on each rank; 503 when it is full, as in vLLM"
    return draft.emit("--max-queued-requests", waiting, note=note)


def max_num_queued_tokens(draft: Draft, value: int) -> Outcome:
    if value < 1:
        return refused("0 turns every request away") if value == 0 else invalid(f"{value}: give 0 or more")
    draft.ask(max_queued_tokens=value)
    return not_served_yet(draft, "--max-num-queued-tokens", f"a limit of {value} waiting prompt tokens is")


def scheduling_policy(draft: Draft, value: str) -> Outcome:
    """vLLM: the lowest number first, 0 if a request has none, and who runs is not interrupted for who waits."""
    if value == "fcfs":
        return already("first come, first served is SGLang's default")
    return draft.emit_all(
        ("--enable-priority-scheduling",),
        ("--schedule-low-priority-values-first",),
        ("--default-priority-value", 0),
        ("--disable-priority-preemption",),
        note="the lowest number first, as in vLLM",
    )


def async_scheduling(draft: Draft, value: bool) -> Outcome:
    return already("on by default in SGLang") if value else draft.emit("--disable-overlap-schedule")


def hybrid_kv_cache(draft: Draft, disabled: bool) -> Outcome:
    return draft.emit("--disable-hybrid-swa-memory") if disabled else already("on by default in SGLang")


def stream_interval(draft: Draft, value: int) -> Outcome:
    return draft.emit("--stream-interval", value, action="same") if value >= 1 else invalid(f"{value}: give 1 or more")


SPEED = "it tunes vLLM's own scheduler (latency only, never results)"
FLAGS: tuple[Flag, ...] = (
    Flag("--max-num-seqs", "rename", to="--max-running-requests", convert=max_num_seqs),
    Flag("--max-num-active-seqs", "rename", to="--max-running-requests", convert=max_num_seqs),
    convert("--max-num-batched-tokens", max_num_batched_tokens, to="--chunked-prefill-size --max-prefill-tokens"),
    convert("--enable-chunked-prefill", chunked_prefill, to="--chunked-prefill-size -1"),
    convert("--max-num-queued-reqs", max_num_queued_reqs, to="--max-queued-requests"),
    ours("--max-num-queued-tokens", max_num_queued_tokens, to=NOT_YET),
    convert(
        "--scheduling-policy",
        scheduling_policy,
        to="--enable-priority-scheduling --schedule-low-priority-values-first",
    ),
    convert("--async-scheduling", async_scheduling, to="--disable-overlap-schedule"),
    convert("--disable-hybrid-kv-cache-manager", hybrid_kv_cache, to="--disable-hybrid-swa-memory"),
    Flag("--stream-interval", "same", to="--stream-interval", convert=stream_interval),
    refuse("--scheduler-cls", "it names a class of vLLM's, which SGLang cannot load; leave it out"),
    drop("--max-num-scheduled-tokens", SPEED),
    drop("--long-prefill-token-threshold", SPEED),
    drop("--long-prefill-token-threshold-adaptive", SPEED),
    drop("--disable-chunked-mm-input", SPEED),
    drop("--scheduler-reserve-full-isl", SPEED),
    drop("--watermark", SPEED),
    drop("--prefill-schedule-interval", SPEED),
    drop("--max-num-partial-prefills", SPEED),
    drop("--max-long-partial-prefills", SPEED),
    drop("--num-lookahead-slots", SPEED),
    drop("--disable-async-output-proc", SPEED),
    drop("--scheduler-delay-factor", SPEED),
    drop("--preemption-mode", SPEED),
    drop("--num-scheduler-steps", SPEED),
    drop("--multi-step-stream-outputs", SPEED),
)
