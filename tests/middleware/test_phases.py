"""What SGLang's log tells of its start, whatever else is in it and whatever becomes of the file."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

from middleware.phases import LOOK_BYTES, SIGNS, EngineLog, Phase, last_sign
from supervision.programs import BIRTH_LINE

# As SGLang 0.5.23 writes it on a CPU, and in the middle as 0.5 writes it on a MI300X with two ranks.
A_START = """\
[2026-11-21 20:16:22] supervisor: started
[2026-11-21 20:16:25] server_args={'model_path': 'm', 'enable_torch_compile': False, 'warmups': None}
[2026-11-21 20:16:53] Ignore import error when loading sglang.srt.models.inkling: No module named 'cutlass'
[2026-11-21 20:16:54 TP0] Load weight begin. avail mem=17.50 GB
[2026-11-21 20:16:54 TP0] Using model weights format ['*.safetensors']
Loading safetensors checkpoint shards:   0% Completed | 0/4 [00:00<?, ?it/s]\r
[2026-11-21 20:16:56 TP1] Load weight end. elapsed=1.78 s, type=LlamaForCausalLM, avail mem=17.25 GB
[aiter] start build [module_rmsnorm] under /root/.aiter/jit/build/module_rmsnorm
[2026-11-21 20:17:56 TP0] Capture target decode CUDA graph begin. backend=full, num_tokens_per_req=1, avail mem=1.00 GB
Capturing batches (bs=160 avail_mem=11.18 GB):   0%|          | 0/23 [00:00<?, ?it/s]
[2026-11-21 20:18:56] INFO:     Application startup complete.
[2026-11-21 20:18:57] INFO:     127.0.0.1:59698 - "GET /model_info HTTP/1.1" 200 OK
[2026-11-21 20:18:59] The server is fired up and ready to roll!
"""
ALL = [Phase.START, Phase.LOAD, Phase.DOWNLOAD, Phase.LOAD, Phase.COMPILE, Phase.CAPTURE, Phase.WARM_UP, None]


def test_a_start_goes_through_its_phases_line_by_line(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = EngineLog(path)
    assert log.look() is None
    seen: list[Phase | None] = []
    for line in A_START.splitlines(keepends=True):
        with path.open("a") as file:
            file.write(line)
        if not seen or seen[-1] is not log.look():
            seen.append(log.look())
    assert seen == ALL


@pytest.mark.parametrize("sign", SIGNS, ids=lambda sign: sign.text.decode())
def test_each_sign_is_found_in_noise_and_when_it_is_cut_in_two(
    sign: object, tmp_path: Path, random_bytes: bytes
) -> None:
    assert isinstance(sign, type(SIGNS[0]))
    assert last_sign(random_bytes + sign.text + random_bytes) is sign
    path = tmp_path / "log"
    log = EngineLog(path)
    for piece in (b"Load weight begin.", random_bytes + sign.text[:3], sign.text[3:]):
        with path.open("ab") as file:
            file.write(piece)
        phase = log.look()
    assert phase is sign.phase


@pytest.fixture
def random_bytes() -> bytes:
    """Without a line end, as a progress bar that hangs or a core that somebody printed."""
    return random.Random(6).randbytes(5000).replace(b"\n", b" ")


def test_what_supervision_writes_at_a_birth_is_a_sign() -> None:
    sign = last_sign(time.strftime(BIRTH_LINE).encode())
    assert sign is not None
    assert sign.phase is Phase.START


def test_an_earlier_life_in_the_same_file_says_nothing_once_it_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(A_START[: A_START.index("Capturing")])
    log = EngineLog(path)
    assert log.look() is Phase.CAPTURE
    with path.open("a") as file:
        file.write("Application startup complete.\n")
    log.forget()
    assert log.look() is None
    with path.open("a") as file:
        file.write("[2026-11-21 20:16:54 TP0] Load weight begin.\n")
    assert log.look() is Phase.LOAD


def test_who_comes_late_reads_the_life_that_began_last(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(A_START[: A_START.index("Capturing")] + time.strftime(BIRTH_LINE))
    assert EngineLog(path).look() is Phase.START


def test_a_log_that_is_rotated_or_emptied_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("Load weight begin." + "x" * 100)
    log = EngineLog(path)
    assert log.look() is Phase.LOAD
    path.rename(tmp_path / "log.1")
    assert log.look() is Phase.LOAD
    path.write_text("Application startup complete.")
    assert log.look() is Phase.WARM_UP
    path.write_text("] start build [")
    assert log.look() is Phase.COMPILE


def test_of_a_gigabyte_only_the_end_is_read(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("wb") as file:
        file.write(b"Load weight begin.")
        file.truncate(1 << 30)
        file.seek(0, os.SEEK_END)
        file.write(b"] start build [")
    log = EngineLog(path)
    assert log.look() is Phase.COMPILE
    with path.open("ab") as file:
        file.write(b"x" * (LOOK_BYTES + 1))
    assert log.look() is Phase.COMPILE


def test_what_is_no_file_is_no_log_and_blocks_nobody(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path, tmp_path / "missing", Path("/dev/zero")):
        assert EngineLog(path).look() is None
