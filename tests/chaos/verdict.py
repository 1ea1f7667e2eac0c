"""The invariants: what may have come of a request or a probe, given what was done when. Each complaint is a sentence.
Pure; `round` shows it the story.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tests.chaos.answers import HARMLESS, End
from tests.chaos.load import Asked
from tests.chaos.probing import EVERY
from tests.chaos.schedule import HAPROXY, MIDDLEWARE, Kind
from tests.chaos.story import (
    CUT,
    ENGINE_ITSELF,
    HEALTH,
    METRICS,
    MIDDLEWARE_ITSELF,
    NEVER,
    ODD,
    REFUSED,
    SERVES,
    SILENT,
    Probe,
    Story,
)

# What haproxy.cfg and the middleware promise, in probe intervals. Dead: the watcher's 0.25 s, then two checks, 0.3 and
# 0.1 s apart. A middleware that says nothing: two checks of 3 s in addition. An engine that says nothing: its 10 s.
DEAD, MUTE_MIDDLEWARE, MUTE_ENGINE = 12, 72, 120
# After it is true that all serve, /health may still say 503 for so many.
BACK = 15
# What a haproxy that was stopped may still believe when it goes on, in seconds.
MEMORY = BACK * EVERY
# A machine that stands still delays each of the two checks.
STALLS = 3.0
# What supervisord gives the middleware to stop, and more.
STOP_SECONDS = 10.0
# A SIGTERM is not among them: it ends its answers.
ENDS_OF_THE_MIDDLEWARE = {f"{MIDDLEWARE}: {kind}" for kind in (Kind.KILL, Kind.SEGV)}


def complaints(story: Story, asked: list[Asked]) -> list[str]:
    return [*_requests(story, asked), *_lies(story), *_false_alarms(story), *_metrics(story)]


def counted(story: Story, asked: list[Asked]) -> str:
    ends = Counter(f"{one.end}" for one in asked)
    health = Counter(one.said for one in story.probes[HEALTH])
    return f"requests: {dict(ends.most_common())}; /health: {dict(health.most_common())}"


def _requests(story: Story, asked: list[Asked]) -> Iterator[str]:
    for one in asked:
        if not _may_be(story, one):
            yield f"request {one}"


def _may_be(story: Story, one: Asked) -> bool:
    span = (one.began, one.ended)
    front_door_dies = story.is_dead(*span, HAPROXY)
    match one.end:
        case End.WHOLE:
            return True
        case End.ERROR | End.STREAM_ERROR:
            # A harmless request to a server that nobody troubles is answered.
            return one.question.fault not in HARMLESS or story.in_trouble(*span)
        case End.REFUSED | End.CUT_BEFORE:
            return front_door_dies
        case End.CUT_AMID:
            return front_door_dies or cut_by_the_middleware(story, one) or _killed_for_being_late(story, one)
        case End.LATE | End.WRONG:
            return False


def cut_by_the_middleware(story: Story, one: Asked) -> bool:
    """It was killed in the middle of an answer: nobody is left who could have said so."""
    return one.end is End.CUT_AMID and any(
        trouble.finds_nobody(one.began, one.ended) and trouble.what in ENDS_OF_THE_MIDDLEWARE
        for trouble in story.troubles
    )


def _killed_for_being_late(story: Story, one: Asked) -> bool:
    """A middleware that is asked to stop, and stands still, is killed by supervisord."""
    stopped = story.seconds_stopped(one.began - STOP_SECONDS, one.ended, MIDDLEWARE)
    return stopped > 0 and story.is_dead(one.began, one.ended, MIDDLEWARE)


def _lies(story: Story) -> Iterator[str]:
    """200 from /health, for longer than was promised after the last moment in which both behind it could serve."""
    for name, mute in ((ENGINE_ITSELF, MUTE_ENGINE), (MIDDLEWARE_ITSELF, MUTE_MIDDLEWARE)):
        direct = story.probes[name]
        at, dead = 0, NEVER
        served = direct[0].began if direct else 0.0
        for probe in story.probes[HEALTH]:
            while at < len(direct) and direct[at].began <= probe.ended:
                one = direct[at]
                # A process that says 503 lives; of the engine only its models count.
                if one.said == SERVES or (name == MIDDLEWARE_ITSELF and one.said == "503"):
                    served, dead = one.ended, NEVER
                elif dead is NEVER and name == ENGINE_ITSELF and one.said in (REFUSED, CUT, ODD):
                    dead = one.ended
                elif one.said == SILENT:  # a port that somebody holds and nobody serves: only time tells
                    dead = NEVER
                at += 1
            if probe.said != SERVES or _stale(story, probe):
                continue
            still = STALLS * story.stalled(served, probe.ended) + story.seconds_stopped(served, probe.began, HAPROXY)
            if name == ENGINE_ITSELF:
                # Nobody watched it; for how long haproxy may take no notice of that is the other rule.
                still += story.seconds_away(served, probe.began, MIDDLEWARE)
            if probe.began - dead > DEAD * EVERY + still or probe.began - served > mute * EVERY + still:
                heard = ", ".join(map(str, direct[max(0, at - 6) : at + 3]))
                yield f"/health said 200 at {probe.began:.2f} s, {name} last served at {served:.2f} s ({heard})"


def _stale(story: Story, probe: Probe) -> bool:
    """haproxy itself was stopped, and knows no more than before."""
    return any(
        HAPROXY in one.targets and not one.kills and one.began <= probe.ended and probe.began <= one.undone + MEMORY
        for one in story.troubles
    )


def _false_alarms(story: Story) -> Iterator[str]:
    for probe in story.probes[HEALTH]:
        since = probe.began - BACK * EVERY
        still = story.stalled(since, probe.ended)
        if probe.said == SERVES:
            continue
        if probe.said == "503" and not story.in_trouble(since - STALLS * still, probe.ended):
            yield f"/health said 503 at {probe.began:.2f} s while all served"
        elif probe.said == SILENT and not story.in_trouble(since, probe.ended, HAPROXY) and not still:
            yield f"/health did not answer at {probe.began:.2f} s"
        elif probe.said not in ("503", SILENT) and not story.is_dead(probe.began, probe.ended, HAPROXY):
            yield f"/health: {probe.said} at {probe.began:.2f} s"


def _metrics(story: Story) -> Iterator[str]:
    """A scrape that fails makes gaps in every graph."""
    for probe in story.probes[METRICS]:
        may_be_cut = probe.said == CUT and story.is_dead(probe.began, probe.ended, MIDDLEWARE)
        if probe.said != SERVES and not may_be_cut and not story.in_trouble(probe.began, probe.ended, HAPROXY):
            yield f"/metrics: {probe.said} from {probe.began:.2f} to {probe.ended:.2f} s"
