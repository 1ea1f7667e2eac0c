"""What an engine's last lines are taken for: each record of the table, in noise, and what must not be taken for one."""

from __future__ import annotations

import random

import pytest

from supervision.causes import CAUSES, Cause, Sign
from supervision.diagnosis import LONGEST_LINE, diagnose
from supervision.transcript import TAIL_BYTES

PAIRS = [(cause, sign) for cause in CAUSES for sign in cause.signs]
# Of a healthy start of SGLang 0.5.23, and of one that fails for a reason that nobody has written down.
HARMLESS = b"""\
[2026-11-21 20:16:25] server_args={'model_path': 'm', 'mem_fraction_static': 0.8, 'trust_remote_code': False}
[2026-11-21 20:16:53] Ignore import error when loading sglang.srt.models.inkling: No module named 'cutlass'
[2026-11-21 20:16:53] Ignore import error when loading sglang.srt.models.x: libcudart.so.12: cannot open shared object
[2026-11-21 20:16:54 TP0] Load weight begin. avail mem=17.50 GB
[2026-11-21 20:16:56] Scheduler hit an exception: Traceback (most recent call last):
  File "/sglang/srt/managers/scheduler.py", line 6362, in run_scheduler_process
    scheduler = Scheduler(server_args, port_args)
RuntimeError: something new
[2026-11-21 20:16:56] Received sigquit from a child process. It usually means the child failed.
"""


@pytest.mark.parametrize(
    ("cause", "sign"), PAIRS, ids=lambda value: value.text.decode() if hasattr(value, "text") else ""
)
def test_each_sign_is_found_in_noise_and_quoted(cause: Cause, sign: Sign) -> None:
    noise = random.Random(6).randbytes(5000).replace(b"\n", b" ")
    text = HARMLESS + sign.text.lstrip(b"\n") + b" and more\n" + noise
    found = diagnose(text, cause.code)
    assert found is not None
    assert found.cause is cause
    assert sign.text.decode().strip() in found.line
    assert cause.sentence in str(found)


def test_no_sign_is_hidden_behind_that_of_an_earlier_cause() -> None:
    for cause, sign in PAIRS:
        earlier = [other.text for one in CAUSES[: CAUSES.index(cause)] if one.code is None for other in one.signs]
        assert not [text for text in earlier if text in sign.text]


@pytest.mark.parametrize("text", [b"", HARMLESS, b"\xff\xfe\x00\r\r"])
def test_what_is_not_known_is_not_guessed(text: bytes) -> None:
    assert diagnose(text, 1) is None


def test_the_message_of_a_parser_counts_only_with_its_exit_code() -> None:
    text = b"usage: launch_server.py [-h]\nlaunch_server.py: error: unrecognized arguments: --nope\n"
    found = diagnose(text, 2)
    assert found is not None
    assert found.cause.name == "bad flag"
    assert "--nope" in found.line
    assert diagnose(text, 1) is None
    assert diagnose(text, None) is None


def test_the_cause_stands_before_its_consequences() -> None:
    text = (
        b"[TP1] torch.OutOfMemoryError: HIP out of memory. Tried to allocate 2.00 GiB.\n"
        b"[TP0] The client socket has failed to connect to (localhost, 29500).\n"
        b"RuntimeError: Rank 0 scheduler died during initialization (exit code: -9).\n"
    )
    found = diagnose(text, None)
    assert found is not None
    assert found.cause.name == "out of GPU memory"


def test_a_line_without_end_is_cut_around_what_was_found() -> None:
    text = b"x" * TAIL_BYTES + b"No space left on device" + b"y" * TAIL_BYTES
    found = diagnose(text, 1)
    assert found is not None
    assert "No space left on device" in found.line
    assert len(found.line) <= LONGEST_LINE + len("...")


def test_every_sentence_is_one_and_says_where_each_sign_is_from() -> None:
    assert len({cause.name for cause in CAUSES}) == len(CAUSES)
    for cause, sign in PAIRS:
        assert "\n" not in cause.sentence
        assert sign.source
        assert sign.text.count(b"\n") <= 1
