"""Sleep, weight updates, classes of vLLM's."""

from __future__ import annotations

import pytest

from shims.exceptions import Refused
from tests.shims.conftest import MakePlan
from tests.shims.flags.test_parallel import values


def test_sleep_keeps_the_weights_in_the_hosts_memory(make_plan: MakePlan) -> None:
    got = values(make_plan("serve", "m", "--enable-sleep-mode", "--sleep-mode-backend", "cumem"))
    assert (got["--enable-memory-saver"], got["--enable-weights-cpu-backup"]) == ([], [])


@pytest.mark.parametrize(
    "words", [["--worker-cls", "auto"], ["--additional-config", "{}"], ["--worker-extension-cls", ""]]
)
def test_a_default_asks_for_nothing(words: list[str], make_plan: MakePlan) -> None:
    make_plan("serve", "m", *words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--worker-cls", "a.B"], "class for vLLM's workers"),
        (["--worker-extension-cls", "a.B"], "class for vLLM's workers"),
        (["--weight-transfer-config", '{"backend": "nccl"}'], "another protocol"),
        (["--additional-config", '{"a": 1}'], "hardware plugin"),
        (["--sleep-preserve-parameter-names", "a"], "all weights or none"),
    ],
)
def test_is_refused(words: list[str], message: str, make_plan: MakePlan) -> None:
    with pytest.raises(Refused, match=message):
        make_plan("serve", "m", *words)
