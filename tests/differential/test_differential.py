"""What a real vLLM answered, a client of ours sees as well, but for what the list in `accepted` says."""

from __future__ import annotations

import pytest

from tests.differential import document
from tests.differential.accepted import ACCEPTED
from tests.differential.compare import compare
from tests.differential.difference import Accepted, Difference
from tests.differential.groups import GROUPS
from tests.differential.replay import TOGETHER, Replayed, replay
from tests.differential.wire import judged

REQUESTS = [
    pytest.param(group, name, id=f"{group}-{name}")
    for group in GROUPS
    for name in judged(group)
    if name not in TOGETHER
]


class Replays:
    """Each group is replayed once, when the first of its requests is looked at."""

    def __init__(self) -> None:
        self._runs: dict[str, Replayed] = {}

    def __getitem__(self, group: str) -> Replayed:
        if group not in self._runs:
            self._runs[group] = replay(GROUPS[group])
        return self._runs[group]

    def differences(self, group: str, name: str) -> list[Difference]:
        run = self[group]
        return [d for d in compare(run.entries[name], run.answers[name]) if not d.advisory]


@pytest.fixture(scope="session")
def replays() -> Replays:
    return Replays()


@pytest.mark.parametrize(("group", "name"), REQUESTS)
def test_a_client_sees_what_vllm_answered(replays: Replays, group: str, name: str) -> None:
    run = replays[group]
    assert name not in run.problems, run.problems[name]
    entry = run.entries[name]
    unlisted = [d for d in replays.differences(group, name) if not any(a.covers(d, entry) for a in ACCEPTED)]
    assert not unlisted, "\n".join(f"{d.where}: {d.kind}: {d.ours} where vLLM has {d.theirs}" for d in unlisted)


@pytest.mark.parametrize("group", GROUPS)
def test_the_middleware_asks_for_itself_what_was_recorded(replays: Replays, group: str) -> None:
    assert "" not in replays[group].problems, replays[group].problems[""]


def test_every_difference_in_the_list_is_there(replays: Replays) -> None:
    unused: dict[int, Accepted] = {id(a): a for a in ACCEPTED}
    for group in GROUPS:
        for name, entry in replays[group].entries.items():
            for difference in replays.differences(group, name):
                for accepted in ACCEPTED:
                    if id(accepted) in unused and accepted.covers(difference, entry):
                        del unused[id(accepted)]
    assert not unused, "\n".join(map(str, unused.values()))


def test_the_page_of_differences_is_made_from_the_list() -> None:
    assert document.PAGE.read_text(encoding="utf-8") == document.page(), "run: python -m tests.differential.document"
