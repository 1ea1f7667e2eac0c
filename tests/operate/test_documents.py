"""Files that `check` is given: whatever they are and hold, it ends in documents or one sentence, and it ends."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings

from operate import source
from operate.found import Unreadable
from operate.verdict import judge
from tests.operate.conftest import Check, Write
from tests.shims.test_config_file import LAUGHS, TEXTS, VALUES

POD = "kind: Pod\nspec: {containers: [{image: vllm, args: [m, --seed, SEED]}]}"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: !!bool maybe", "line 1, column 4: a value that does not fit its tag"),
        ("a: !!timestamp maybe", "a value that does not fit its tag"),
        ("a: !!float", "a value that does not fit its tag"),
        (f"a: 0x{'f' * 6000}", "a number that is too large"),
        (f'{{"a": {"9" * 6000}}}', "a value that does not fit its tag"),
        ('{"a":' * 3000 + "1" + "}" * 3000, "not YAML that can be read"),
        ('{"a":' * 500 + "1" + "}" * 500, "YAML"),
        (LAUGHS, "aliases"),
    ],
)
def test_a_value_that_cannot_be_worked_with_is_exit_2_and_a_sentence(
    text: str, reason: str, check: Check, write: Write
) -> None:
    answer = check(write(text))
    assert answer.code == 2
    assert reason in answer.err
    assert len(answer.err.splitlines()) == 1


def test_a_fifo_a_device_and_a_file_too_large_are_not_read(check: Check, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "disk").touch()
    os.truncate(tmp_path / "disk", 1 << 40)
    for name, reason in ((tmp_path / "fifo", "no file"), ("/dev/zero", "no file"), (tmp_path / "disk", "10 MB")):
        answer = check(str(name))
        assert (answer.code, reason in answer.err) == (2, True)


def test_a_pipe_of_the_shells_own_is_read() -> None:
    pod = POD.replace("SEED", '"1"')
    line = f"exec {sys.executable} -m operate check <(echo '{pod}')"
    root = Path(__file__).parent.parent.parent
    done = subprocess.run(["bash", "-c", line], cwd=root, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "--random-seed 1" in done.stdout


def test_a_config_file_that_is_a_fifo_or_no_possible_name_is_not_waited_for(check: Check, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "c.yaml")
    fifo = check("--", "serve", "m", "--config", f"{tmp_path}/c.yaml")
    assert (fifo.code, "it is no file" in fifo.out) == (2, True)
    assert "cannot be read here" in check("--", "serve", "m", "--config", f"{'x' * 300}.yaml").out


@pytest.mark.parametrize(
    "script",
    [
        "eval " * 5000 + "vllm serve m",
        "vllm serve ${a:-" * 3000 + "m" + "}" * 3000,
        "a=xxxxxxxxxx; " + "a=$a$a; " * 60 + "vllm serve $a",
        "a=xxxxxxxxxx; " + "export a=$a$a; a+=$a; " * 60 + "vllm serve $a",
        "a=(x x); " + 'a=(${a[@]} "${a[@]}"); ' * 60 + "vllm serve $a",
        "set -- x x; " + "set -- $@ $@; " * 60 + "vllm serve $@",
        "shift ²; shift " + "9" * 5000 + "; vllm serve m",
    ],
)
def test_a_script_made_to_hurt_its_reader_is_a_verdict(script: str, check: Check) -> None:
    assert check("--", "bash", "-c", script).code in (0, 2)


@pytest.mark.parametrize("name", ['"\\ud800"', '"a\\ud800\\nb"'])
def test_half_a_character_in_a_name_does_not_stop_the_report(name: str, tmp_path: Path) -> None:
    spec = '{"containers": [{"image": "vllm", "args": ["m"]}]}'
    (tmp_path / "pod.json").write_text(f'{{"kind": "Pod", "metadata": {{"name": {name}}}, "spec": {spec}}}')
    for form in ([], ["--json"]):
        command = [sys.executable, "-m", "operate", "check", *form, f"{tmp_path}/pod.json"]
        root = Path(__file__).parent.parent.parent
        done = subprocess.run(command, cwd=root, capture_output=True, check=False, timeout=60)
        assert (done.returncode, done.stderr) == (0, b"")


@settings(max_examples=100)
@given(TEXTS | VALUES.map(lambda value: POD.replace("SEED", value)) | VALUES)
def test_any_text_is_engines_or_one_sentence(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(text, encoding="utf-8")
    with contextlib.suppress(Unreadable):
        for found in source.engines(str(path)).engines:
            judge(found)
