"""The judge itself: it lets pass what may happen, and nothing else."""

from __future__ import annotations

import json

import pytest

from tests.chaos.answers import CHAT, MESSAGES, MODELS, End, Question, ended
from tests.chaos.load import Asked
from tests.chaos.schedule import ENGINE, HAPROXY, MIDDLEWARE, Ending, Kind, draw
from tests.chaos.story import (
    CUT,
    ENGINE_ITSELF,
    HEALTH,
    MIDDLEWARE_ITSELF,
    REFUSED,
    SERVES,
    SILENT,
    Probe,
    Story,
    Trouble,
)
from tests.chaos.verdict import complaints
from tests.chaos.wire import Answer
from tests.fakes.trouble import token

STREAM = Question("7-1-1", CHAT, stream=True, tokens=3)
DONE = "data: [DONE]\n\n"
ERROR = {"error": {"message": "The engine failed.", "type": "BadGatewayError", "param": None, "code": 502}}
EVENTS = {"content-type": "text/event-stream; charset=utf-8"}


def event(number: int, uid: str = STREAM.uid) -> str:
    said = {"id": f"chatcmpl-{uid}", "choices": [{"delta": {"content": token(uid, number)}}]}
    return f"data: {json.dumps(said)}\n\n"


def error(body: object = ERROR) -> str:
    return f"data: {json.dumps(body)}\n\n"


def came(*pieces: str, status: int = 200, whole: bool = True) -> Answer:
    return Answer(status, dict(EVENTS), bytearray("".join(pieces).encode()), whole)


@pytest.mark.parametrize(
    ("answer", "end"),
    [
        (came(event(0), event(1), event(2), DONE), End.WHOLE),
        (came(event(0), event(1), DONE), End.WRONG),
        (came(event(0), event(2), event(1), DONE), End.WRONG),
        (came(event(0), event(1), event(2)), End.WRONG),
        (came(event(0), event(1), event(2, "7-2-1"), DONE), End.WRONG),
        (came(event(0), event(1), event(2), DONE, DONE), End.WRONG),
        (came(event(0), error(), DONE), End.STREAM_ERROR),
        (came(event(0), event(1)[:40], "\n\n", error(), DONE), End.STREAM_ERROR),
        (came(event(1), error(), DONE), End.WRONG),
        (came(event(0), error(), error(), DONE), End.WRONG),
        (came(event(0), error({"error": "broken"}), DONE), End.WRONG),
        (came(event(0), error()), End.WRONG),
        (came(event(0), whole=False), End.CUT_AMID),
        (came(event(0), DONE, whole=False), End.WRONG),
        (came(status=0, whole=False), End.CUT_BEFORE),
        (came(json.dumps(ERROR), status=502), End.ERROR),
        (came("<html>", status=502), End.WRONG),
    ],
)
def test_a_stream_is_whole_or_says_clearly_that_it_is_not(answer: Answer, end: End) -> None:
    assert ended(STREAM, answer)[0] is end


MESSAGE = Question("7-1-1", MESSAGES, stream=True, tokens=2)


def named(kind: str, **said: object) -> str:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **said})}\n\n"


def delta(number: int) -> str:
    return named("content_block_delta", delta={"text": token(MESSAGE.uid, number)})


@pytest.mark.parametrize(
    ("answer", "end"),
    [
        (came(delta(0), delta(1), named("message_stop")), End.WHOLE),
        (came(delta(0), named("message_stop")), End.WRONG),
        (came(delta(0), named("error", error={"type": "api_error", "message": "no"})), End.STREAM_ERROR),
        (came(delta(1), named("error", error={"type": "api_error", "message": "no"})), End.WRONG),
        (came(delta(0), named("error", error={})), End.WRONG),
        (came(delta(0), delta(1)), End.WRONG),
        (came(delta(0), delta(1), named("message_stop"), named("error", error={"message": "no"})), End.WRONG),
    ],
)
def test_so_is_a_stream_whose_events_have_names(answer: Answer, end: End) -> None:
    assert ended(MESSAGE, answer)[0] is end


def told(*troubles: Trouble, health: str = SERVES, engine: str = SERVES, middleware: str = SERVES) -> Story:
    """Twenty seconds, with these words from second 5 to 15."""
    story = Story(troubles=list(troubles))
    for tenth in range(200):
        at = tenth / 10
        for name, word in ((HEALTH, health), (ENGINE_ITSELF, engine), (MIDDLEWARE_ITSELF, middleware)):
            story.probes[name].append(Probe(at, at + 0.01, word if 5 <= at < 15 else SERVES))
    return story


DEAD_ENGINE = Trouble("sglang: kill -9", frozenset({ENGINE}), 5.0, 5.0, 15.0, 15.0, kills=True)
DEAD_HAPROXY = Trouble("haproxy: kill -9", frozenset({HAPROXY}), 5.0, 5.0, 15.0, 15.0, kills=True)
DEAD_MIDDLEWARE = Trouble("middleware: kill -9", frozenset({MIDDLEWARE}), 5.0, 5.0, 15.0, 15.0, kills=True)
STOPPED_HAPROXY = Trouble("haproxy: SIGSTOP", frozenset({HAPROXY}), 5.0, 15.0, ended=15.0)


@pytest.mark.parametrize(
    ("story", "good"),
    [
        (told(), True),
        (told(DEAD_ENGINE, health="503", engine=REFUSED), True),
        (told(DEAD_ENGINE, engine=REFUSED), False),
        (told(engine=SILENT), True),
        (told(middleware=SILENT), False),
        (told(middleware="503"), True),
        (told(health="503"), False),
        (told(DEAD_ENGINE, health=REFUSED, engine=REFUSED), False),
        (told(DEAD_HAPROXY, health=REFUSED), True),
        (told(STOPPED_HAPROXY, health=SILENT), True),
        (told(STOPPED_HAPROXY, health=CUT), False),
        (told(DEAD_ENGINE, health=SILENT), False),
    ],
)
def test_health_may_lie_no_longer_than_was_promised_and_raises_no_false_alarm(story: Story, *, good: bool) -> None:
    assert bool(complaints(story, [])) is not good


@pytest.mark.parametrize(
    ("trouble", "allowed"),
    [
        (None, {End.WHOLE}),
        (DEAD_ENGINE, {End.WHOLE, End.ERROR, End.STREAM_ERROR}),
        (DEAD_MIDDLEWARE, {End.WHOLE, End.ERROR, End.STREAM_ERROR, End.CUT_AMID}),
        (STOPPED_HAPROXY, {End.WHOLE, End.ERROR, End.STREAM_ERROR}),
        (DEAD_HAPROXY, set(End) - {End.WRONG, End.LATE}),
    ],
)
def test_what_may_come_of_a_request_depends_on_who_was_killed(trouble: Trouble | None, allowed: set[End]) -> None:
    story = Story(troubles=[trouble] if trouble else [])
    assert {end for end in End if not complaints(story, [Asked(Question("u", MODELS), 6.0, 6.1, end, "")])} == allowed
    # Before and after it nothing but the answer will do.
    for at in (3.0, 16.0):
        asked = [Asked(Question("u", MODELS), at, at + 0.1, end, "") for end in End if end is not End.WHOLE]
        assert len(complaints(story, asked)) == len(asked)


def test_a_seed_draws_the_same_schedule_again_and_spends_the_budget_only_on_purpose() -> None:
    drawn = [draw(seed, 40.0, disk=True) for seed in range(200)]
    assert drawn == [draw(seed, 40.0, disk=True) for seed in range(200)]
    assert {schedule.ending for schedule in drawn} == set(Ending)
    for seed, schedule in enumerate(drawn):
        missing = set(schedule.faults) - set(draw(seed, 40.0, disk=False).faults)
        assert {fault.kind for fault in missing} == {Kind.DISK}
        deaths = sum(fault.is_death_of_the_engine for fault in schedule.faults)
        assert deaths == {Ending.ASKED: 2, Ending.BUDGET: 3, Ending.STOLEN: 1}[schedule.ending]
