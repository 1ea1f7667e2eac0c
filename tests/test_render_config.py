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

import render_config
from middleware.engine import PHASE_HEADER
from shims.exceptions import StartError
from shims.facts import Facts
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
    assert split_by_supervisord(render_config.ini_command(argv)) == argv


@settings(max_examples=300)
@given(
    st.lists(
        st.text(st.characters(exclude_characters="\r\n\0", codec="utf-8")),
        min_size=1,
    )
)
def test_any_printable_argument_reaches_the_engine(argv: list[str]) -> None:
    assert split_by_supervisord(render_config.ini_command(["engine", *argv])) == ["engine", *argv]


def test_only_haproxy_listens_beyond_loopback(make_plan: MakePlan) -> None:  # noqa: F811
    files = render_config.render(make_plan("serve", "m", "--host", "0.0.0.0", "--port", "8000"))
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
    assert render_config.bind_addresses(make_plan("serve", "m", *host, ipv6=ipv6)) == [bind]


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
    words = split_by_supervisord(render_config.engine_command(made.engines[0]))
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
    words = render_config.middleware_command(make_plan("serve", "m", env={"PROMETHEUS_MULTIPROC_DIR": "/tmp"}))
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
    text = render_config.render(make_plan("serve", "m"))["supervisord.conf"]
    sizes = [int(n) for n in re.findall(r"logfile_maxbytes=(\d+)MB", text)]
    backups = [int(n) for n in re.findall(r"logfile_backups=(\d+)", text)]
    assert len(sizes) == 4
    assert sum(size * (1 + kept) for size, kept in zip(sizes, backups, strict=True)) <= 100


def test_haproxy_has_what_streams_need(make_plan: MakePlan) -> None:  # noqa: F811
    text = render_config.render(make_plan("serve", "m"))["haproxy.cfg"]
    defaults = text.partition("\ndefaults\n")[2].partition("\nfrontend")[0]
    assert "option http-no-delay" in defaults
    assert "option abortonclose" in defaults


def test_the_middleware_is_told_where_the_engine_writes_its_log(make_plan: MakePlan) -> None:  # noqa: F811
    made = make_plan("serve", "m")
    argv = render_config.middleware_command(made)
    log = argv[argv.index("--engine-log") + 1]
    assert f"stdout_logfile={log}\n" in render_config.render(made)["supervisord.conf"]


def test_haproxy_looks_for_the_phase_where_the_middleware_says_it(make_plan: MakePlan) -> None:  # noqa: F811
    assert f"res.hdr({PHASE_HEADER})" in render_config.render(make_plan("serve", "m"))["haproxy.cfg"]


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
