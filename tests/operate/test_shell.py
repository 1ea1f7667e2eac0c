"""Shell scripts are read as a real shell runs them: the judge is the `bash` of this machine, with a `vllm` on its PATH
that writes down what it was given."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operate import program, shell
from operate.found import Unreadable

BASH = shutil.which("bash") or ""
ENV = {"PORT": "8000", "WORDS": "--seed 7", "EMPTY": "", "SPACED": " a b "}
SCRIPTS = [
    "vllm serve m",
    "exec vllm serve m --port $PORT",
    "cd / && vllm serve m",
    "vllm serve m --port=${PORT} ${WORDS} \"${WORDS}\" '$WORDS'",
    "vllm serve m \\\n  --a 1 \\\n  --b 2\n",
    "vllm serve m # --not-this\n# vllm serve n",
    "MODEL=x; vllm serve $MODEL",
    "MODEL=x vllm serve m",
    "export SEEN=1 PORT=9; vllm serve m --port $PORT",
    "vllm serve ${MODEL:-default/model} --port ${PORT:-1} ${NONE:-} ${EMPTY:-e} ${EMPTY-f} ${PORT:+set}",
    'vllm serve "${NONE:-a b}" ${NONE:-c d}',
    'vllm serve m --api "a\\"b\\$c" \'d"e\' f\\ g h\'i\'"j"',
    'vllm serve m --kv-transfer-config \'{"kv_connector":"X","kv_role":"kv_both"}\'',
    'vllm serve m --kv-transfer-config "{\\"a\\": \\"$PORT\\"}"',
    "vllm serve m > /dev/null 2>&1",
    "vllm serve m --n 2 2>/dev/null | cat",
    "vllm serve m &\nwait",
    'ARGS=(--a 1 \'--b c\')\nARGS+=("--d=$PORT")\nvllm serve m "${ARGS[@]}"',
    'ARGS="--a 1"; ARGS="$ARGS --b 2"; ARGS+=" --c"; vllm serve m $ARGS',
    'ARGS=()\nvllm serve m "${ARGS[@]}" end',
    'vllm serve m $EMPTY "$EMPTY" $NONE x',
    'vllm serve m pre$SPACED"post"',
    "cat <<EOF > /dev/null\nvllm serve not-this\nEOF\nvllm serve m",
    "cat > /dev/null <<'EOF'\nit's\n\tvllm serve not-this\nEOF\nvllm serve m",
    'cat <<< "$PORT" > /dev/null; vllm serve m',
    "if true; then vllm serve m; fi",
    "{ vllm serve m; }",
    "(vllm serve m)",
    'true && { exec vllm serve m --port "$PORT"; }',
    "env A=1 vllm serve m",
    "set -euo pipefail; vllm serve m",
    'set -- --a b; vllm serve m "$@"',
    'eval "vllm serve m $WORDS"',
    "bash -c 'vllm serve m'",
    'sh -ec "exec vllm serve m --port $PORT"',
    "vllm serve m --price '5$' \"$\" $'x'",
    'vllm serve m {"a":1}',
    "vllm serve m; ",
    "\n\n  vllm serve m",
    "python3 -m vllm.entrypoints.openai.api_server --model m",
]


def ran(script: str, folder: Path) -> list[tuple[list[str], dict[str, str]]]:
    record = folder / "record"
    body = (
        "import json,os,sys; open(os.environ['RECORD'],'a').write(json.dumps([sys.argv[1:], dict(os.environ)])+'\\n')"
    )
    for name in ("vllm", "python3"):
        (folder / name).write_text(f'#!/bin/sh\nexec {sys.executable} -I -c "{body}" "$0" "$@"\n')
        (folder / name).chmod(0o755)
    env = {**ENV, "PATH": f"{folder}:/usr/bin:/bin", "RECORD": str(record)}
    subprocess.run([BASH, "-c", script], env=env, check=True, capture_output=True, timeout=30)
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    return [([Path(argv[0]).name, *argv[1:]], env) for argv, env in lines]


@pytest.mark.skipif(not BASH, reason="no bash on this machine")
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_is_read_as_bash_runs_it(script: str, tmp_path: Path) -> None:
    ((argv, env),) = ran(script, tmp_path)
    (found,) = program.find(["bash", "-c", script], ENV).commands
    assert list(found.argv) == argv
    assert {name: env.get(name) for name in found.env} == dict(found.env)
    assert {"SEEN", "MODEL", "A"} & set(env) == {"SEEN", "MODEL", "A"} & set(found.env)


@pytest.mark.skipif(not BASH, reason="no bash on this machine")
def test_arguments_after_the_script_are_its_own() -> None:
    found = program.find(["bash", "-c", 'vllm serve "$@" --x $1', "name", "a b", "c"], ENV).commands[0]
    assert found.argv == ("vllm", "serve", "a b", "c", "--x", "a", "b")


@pytest.mark.parametrize(
    ("script", "word"),
    [
        ("vllm serve m --host $(hostname -i)", "output of a command"),
        ("vllm serve m --host `hostname`", "output of a command"),
        ("vllm serve m --port $NOWHERE", "NOWHERE"),
        ('if [ -n "$X" ]; then vllm serve m; fi', "conditions"),
        ("[ -d /x ] && ARGS=--a; vllm serve m $ARGS", "conditions"),
        (". /etc/engine.env; vllm serve m", "another script"),
    ],
)
def test_what_only_a_running_shell_knows_is_noted(script: str, word: str) -> None:
    run = program.find(["sh", "-c", script], {})
    assert run.commands
    assert any(word in note for note in run.notes)


def test_both_branches_of_a_condition_are_engines() -> None:
    script = 'if [ "$ROLE" = a ]; then vllm serve a; else vllm serve b; fi'
    assert [one.argv[2] for one in program.find(["sh", "-c", script], {"ROLE": "a"}).commands] == ["a", "b"]


@pytest.mark.parametrize(
    "script", ["vllm serve 'm", 'vllm serve "m', "vllm serve $(x", "vllm serve ${x", "A=(1 2", "echo `x"]
)
def test_a_script_that_no_shell_reads_is_unreadable(script: str) -> None:
    with pytest.raises(Unreadable):
        program.find(["sh", "-c", script], {})


@given(st.text(alphabet="ab \n\t'\"\\$`(){}[]@*#?-:=+;&|<>!~19_", max_size=60))
def test_no_text_breaks_the_reader(script: str) -> None:
    with contextlib.suppress(Unreadable):
        shell.read(script, {"a": "1 2"}, ["x", "y"])


@given(
    st.lists(st.sampled_from(["vllm", "serve", "bash", "-c", "-o", "exec", "env", "A=1", "python3", "-m", "--", "x"]))
)
def test_no_words_break_the_search_for_a_program(words: list[str]) -> None:
    with contextlib.suppress(Unreadable):
        program.find(words, {})
