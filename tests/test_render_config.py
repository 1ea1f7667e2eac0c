"""The rendered files: every byte of an argument arrives, nothing listens where it should not, no secret is written."""

from __future__ import annotations

import configparser
import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from supervisor.datatypes import byte_size

import render_config
from middleware import errors_log
from middleware.engine import PHASE_HEADER
from shims import programs, quoting
from shims.exceptions import StartError
from shims.facts import Facts
from supervision import shimlog
from tests.shims.conftest import MakePlan, make_plan  # noqa: F401 - a fixture

ROOT = Path(__file__).parent.parent
NASTY = [
    '{"a": "b ; c # d", "e": "100%", "f": "%(ENV_HOME)s"}',
    "it's ;; ## %% \" \\ $HOME `x` é 你好 \t tab",
    " ; leading",
    "trailing ;",
    "#",
    "%(here)s %%(here)s %s",
    "\x0c;\t#\u2003;",
    "",
]


def split_by_supervisord(line: str) -> list[str]:
    """What supervisor 4.3.0 makes of a `command=` line: its own parser, its own expansion, shlex."""
    from supervisor.options import UnhosedConfigParser

    parser = UnhosedConfigParser()
    parser.read_string(f"[program:x]\ncommand={line}\n")
    parser.expand_here("/somewhere")
    parser.expansions = {"ENV_HOME": "/root", "program_name": "x"}
    return shlex.split(parser.saneget("program:x", "command"))


@pytest.mark.parametrize("argument", NASTY)
def test_nasty_arguments_reach_the_engine_byte_for_byte(argument: str) -> None:
    argv = ["engine", argument, "--flag", argument]
    assert split_by_supervisord(quoting.ini_command(argv)) == argv


@settings(max_examples=300)
@given(
    st.lists(
        st.text(st.characters(exclude_characters="\r\n\0", codec="utf-8")),
        min_size=1,
    )
)
def test_any_printable_argument_reaches_the_engine(argv: list[str]) -> None:
    assert split_by_supervisord(quoting.ini_command(["engine", *argv])) == ["engine", *argv]


def test_only_haproxy_listens_beyond_loopback(make_plan: MakePlan) -> None:  # noqa: F811
    files = render_config.render(make_plan("serve", "m", "--host", "0.0.0.0", "--port", "8000"))
    files.pop("plan.json")  # says what was given
    everywhere = [line.strip() for text in files.values() for line in text.splitlines() if "0.0.0.0" in line]
    assert everywhere == ["bind 0.0.0.0:8000"]


@pytest.mark.parametrize(
    ("host", "ipv6", "bind"),
    [
        ([], True, ":::8000 v4v6"),
        ([], False, "0.0.0.0:8000"),
        (["--host", "::"], True, ":::8000 v4v6"),
        (["--host", "127.0.0.1"], True, "127.0.0.1:8000"),
    ],
)
def test_haproxy_binds_what_vllm_would(host: list[str], ipv6: bool, bind: str, make_plan: MakePlan) -> None:  # noqa: F811
    assert programs.bind_addresses(make_plan("serve", "m", *host, ipv6=ipv6)) == [bind]


def test_no_secret_is_written_to_any_file(make_plan: MakePlan, tmp_path: Path) -> None:  # noqa: F811
    made = make_plan("serve", "m", "--api-key", "s3cret", "--hf-token", "s3cret", env={"VLLM_API_KEY": "s3cret"})
    render_config.write(made, tmp_path)
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert written
    for path in written:
        assert b"s3cret" not in path.read_bytes()
        assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("name", ["PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"])
@pytest.mark.parametrize("folder", ["/tmp", "/is/not/there", "/proc", ""])
def test_sglang_keeps_its_metrics_out_of_the_charts_folder(name: str, folder: str, make_plan: MakePlan) -> None:  # noqa: F811
    """Whatever it is: shared, missing, read-only, or full of an earlier container's files."""
    source = "import os; print([pair for pair in os.environ.items() if 'multiproc' in pair[0].lower()])"
    engine = shlex.join([sys.executable, "-c", source])
    made = make_plan("serve", "m", env={name: folder, "VLLM_SHIM_ENGINE": engine})
    words = split_by_supervisord(programs.engine_command(made.engines[0]))
    env = {name: folder, **made.engines[0].env}
    done = subprocess.run(words, env=env, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[('PROMETHEUS_MULTIPROC_DIR', '/tmp/vllm-shim/prometheus/sglang')]"


def test_sglang_has_a_private_folder_for_its_metrics_which_supervision_knows(
    make_plan: MakePlan,  # noqa: F811
    tmp_path: Path,
) -> None:
    made = make_plan("serve", "m", run_dir=str(tmp_path))
    render_config.write(made, tmp_path)
    folder = Path(made.engines[0].env["PROMETHEUS_MULTIPROC_DIR"])
    assert folder == tmp_path / "prometheus" / made.engines[0].name
    assert [one.stat().st_mode & 0o777 for one in (folder, folder.parent)] == [0o700, 0o700]
    assert f"\nprometheus_dir={folder.parent}\n" in (tmp_path / "supervisord.conf").read_text()


def test_the_middleware_does_not_see_it_either(make_plan: MakePlan) -> None:  # noqa: F811
    words = programs.middleware_command(make_plan("serve", "m", env={"PROMETHEUS_MULTIPROC_DIR": "/tmp"}))
    assert ("-u", "PROMETHEUS_MULTIPROC_DIR") in pairwise(words)


def test_programs_stop_in_the_order_haproxy_middleware_engine(make_plan: MakePlan) -> None:  # noqa: F811
    text = render_config.render(make_plan("serve", "m"))["supervisord.conf"]
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"))
    parser.read_string(text)
    programs = {s.partition(":")[2]: parser[s] for s in parser.sections() if "program:" in s}
    by_priority = sorted(programs, key=lambda name: int(programs[name]["priority"]))
    assert by_priority == ["sglang", "middleware", "haproxy"]
    assert programs["haproxy"]["stopsignal"] == "USR1"


def test_all_logs_together_stay_below_100_mb(make_plan: MakePlan) -> None:  # noqa: F811
    """Of the shim's own, what one start says stands behind its limit."""
    made = make_plan("serve", "m", env={"VLLM_SHIM_DUMP_ERRORS": "1"})
    other_logs = shimlog.MAX_BYTES + errors_log.MAX_BYTES * (1 + errors_log.BACKUPS)
    for engines in (1, 2, 3, 8, 60):
        several = tuple(replace(made.engines[0], name=f"sglang{number}") for number in range(engines))
        text = render_config.render(replace(made, engines=several))["supervisord.conf"]
        files = re.findall(r"^(?:stdout_)?logfile=.*", text, re.MULTILINE)
        sizes = [byte_size(n) for n in re.findall(r"logfile_maxbytes=(\w+)", text)]
        backups = [int(n) for n in re.findall(r"logfile_backups=(\d+)", text)]
        assert len(files) == len(sizes) == len(backups) == engines + 3
        assert min(sizes) > 100_000
        total = sum(size * (1 + kept) for size, kept in zip(sizes, backups, strict=True)) + other_logs + 200_000
        assert total <= 100_000_000


def test_the_errors_log_is_asked_for_and_warned_of(make_plan: MakePlan) -> None:  # noqa: F811
    for value in ("", "0"):
        made = make_plan("serve", "m", env={"VLLM_SHIM_DUMP_ERRORS": value})
        assert not made.policy.errors_log
        assert not made.warnings
    made = make_plan("serve", "m", env={"VLLM_SHIM_DUMP_ERRORS": "1"})
    assert made.policy.errors_log == f"{made.facts.log_dir}/errors.log"
    assert any("prompts of requests that fail are written to errors.log" in warning for warning in made.warnings)


def test_haproxy_tells_of_failures_or_of_all_and_of_no_query_or_header(make_plan: MakePlan) -> None:  # noqa: F811
    text = render_config.render(make_plan("serve", "m"))["haproxy.cfg"]
    assert "option dontlog-normal" in text
    told = next(line for line in text.splitlines() if line.strip().startswith("log-format"))
    assert not re.search(r"%(r|HU|HQ|HP|HPO|hr|hs)\b|req\.|capture|url", told)
    assert "capture" not in text
    every = render_config.render(make_plan("serve", "m", env={"VLLM_SHIM_ACCESS_LOG": "1"}))["haproxy.cfg"]
    assert "option dontlog-normal" not in every


def test_haproxy_has_what_streams_need(make_plan: MakePlan) -> None:  # noqa: F811
    text = render_config.render(make_plan("serve", "m"))["haproxy.cfg"]
    defaults = text.partition("\ndefaults\n")[2].partition("\nfrontend")[0]
    assert "option http-no-delay" in defaults
    assert "option abortonclose" in defaults


def test_the_middleware_is_told_where_the_engine_writes_its_log(make_plan: MakePlan) -> None:  # noqa: F811
    made = make_plan("serve", "m")
    argv = programs.middleware_command(made)
    log = argv[argv.index("--engine-log") + 1]
    assert f"stdout_logfile={log}\n" in render_config.render(made)["supervisord.conf"]


def test_haproxy_looks_for_the_phase_where_the_middleware_says_it(make_plan: MakePlan) -> None:  # noqa: F811
    assert f"res.hdr({PHASE_HEADER})" in render_config.render(make_plan("serve", "m"))["haproxy.cfg"]


def test_the_check_behind_the_probes_comes_as_often_as_the_readme_says(make_plan: MakePlan) -> None:  # noqa: F811
    text = render_config.render(make_plan("serve", "m"))["haproxy.cfg"]
    probe = text.partition("\nbackend probe\n")[2].partition("\nbackend ")[0]
    intervals = [int(number) for number in re.findall(r" (?:fast|down)?inter (\d+)ms", probe)]
    assert len(intervals) == 3
    assert max(intervals) <= 1000 / 3
    assert "from a check three times a second" in (ROOT / "README.md").read_text()


def test_an_inline_template_becomes_a_file_and_another_suffix_a_copy(make_plan: MakePlan, tmp_path: Path) -> None:  # noqa: F811
    made = make_plan("serve", "m", "--chat-template", "{{ messages }}\n{# x #}", run_dir=str(tmp_path))
    render_config.write(made, tmp_path)
    path = Path(made.engines[0].argv[made.engines[0].argv.index("--chat-template") + 1])
    assert path.read_text() == "{{ messages }}\n{# x #}"

    source = tmp_path / "template.json"
    source.write_text("{{ other }}")
    made = make_plan("serve", "m", "--chat-template", str(source), run_dir=str(tmp_path))
    render_config.write(made, tmp_path)
    assert path.read_text() == "{{ other }}"


def preview(*words: str, facts: Path | None = None) -> subprocess.CompletedProcess[str]:
    options = ["--facts", str(facts)] if facts else []
    return subprocess.run(
        [sys.executable, str(ROOT / "render_config.py"), *options, *words],
        check=False,
        timeout=60,
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin"},
    )


def test_the_preview_is_one_json_document_with_the_fixed_keys(tmp_path: Path) -> None:
    facts = tmp_path / "facts.json"
    facts.write_text('{"in_kubernetes": true, "taken_ports": [8001], "model_config": {"model_type": "mistral"}}')
    found = preview("--json", "--out", str(tmp_path / "out"), "--", "serve", "/data/m", "-tp", "2", facts=facts)
    assert found.returncode == 0, found.stderr
    document = json.loads(found.stdout)
    assert set(document) >= {"models", "ports", "programs", "engines", "decisions", "warnings"}
    assert document["models"] == ["/data/m"]
    assert document["ports"] == {"public": 8000, "middleware": 8003}
    assert document["programs"] == ["sglang", "middleware", "haproxy"]
    assert set(document["engines"][0]) == {"name", "port", "argv", "env"}
    assert {"name", "kind", "value", "action", "target", "note"} == set(document["decisions"][0])
    assert (tmp_path / "out/supervisord.conf").exists()


def test_the_preview_of_the_readme_is_what_it_shows() -> None:
    console = (ROOT / "README.md").read_text().partition("```console\n$ python render_config.py ")[2]
    command, *shown = console.partition("\n...\n```")[0].splitlines()
    assert len(shown) == 5
    told = preview(*shlex.split(command)).stdout.splitlines()
    at = told.index("given:")
    assert told[at : at + len(shown)] == shown


@pytest.mark.parametrize(
    "words", [["--", "serve", "m", "--nope"], ["--", "bench"], ["--facts", "/nope", "--", "serve"]]
)
def test_the_preview_of_what_cannot_start_is_exit_2_and_a_sentence(words: list[str]) -> None:
    found = preview(*words)
    assert found.returncode == 2
    assert found.stderr.startswith("vllm: error: ")
    assert found.stderr.count("\n") == 1


def test_facts_from_a_file_must_be_facts(tmp_path: Path) -> None:
    facts = tmp_path / "facts.json"
    facts.write_text('{"ports": []}')
    assert "unknown ports; known: " in preview("--", "serve", facts=facts).stderr
    assert Facts().taken_ports == frozenset()


@pytest.mark.parametrize(
    "words",
    [
        ["m", "--allowed-local-media-path", "/a\udcff"],
        ["m", "--response-role", "a\udcff"],
        ["m", "--chat-template", "unreadable"],
        ["m", "--chat-template", "fifo"],
    ],
)
def test_what_cannot_be_written_is_exit_2_and_a_sentence(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "unreadable").mkdir()
    os.mkfifo(tmp_path / "fifo")
    words = [f"{tmp_path}/{word}" if word in ("unreadable", "fifo") else word for word in words]
    found = preview("--out", str(tmp_path / "out"), "--", "serve", *words)
    assert (found.returncode, found.stderr.count("\n")) == (2, 1), found.stderr
    assert found.stderr.startswith("vllm: error: ")


def test_a_place_to_write_that_is_a_file_is_exit_2_and_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "f.json").touch()
    for name, reason in (("f.json", "File exists"), ("f.json/below", "Not a directory")):
        found = preview("--out", f"{tmp_path}/{name}", "--", "serve", "m")
        assert (found.returncode, found.stderr.count("\n")) == (2, 1), found.stderr
        assert f"{tmp_path}/f.json" in found.stderr
        assert reason in found.stderr


def test_the_preview_shows_a_path_that_cannot_be_one_as_it_is(tmp_path: Path) -> None:
    for words in (["m", "--chat-template", "x" * 300], ["/" + "x" * 300]):
        found = preview("--out", str(tmp_path / "out"), "--", "serve", *words)
        assert (found.returncode, found.stderr) == (0, "")


def test_half_a_character_from_a_policy_is_a_sentence(make_plan: MakePlan, tmp_path: Path) -> None:  # noqa: F811
    made = make_plan("serve", "m")
    made = replace(made, policy=replace(made.policy, response_role="\udcff"))
    with pytest.raises(StartError, match="not UTF-8"):
        render_config.write(made, tmp_path)
