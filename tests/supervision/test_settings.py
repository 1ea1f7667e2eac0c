"""The `[shim]` section of supervisord.conf."""

from pathlib import Path

import pytest
from supervisor.options import ServerOptions

from supervision.settings import KEYS, Settings, parse, read


def test_all_keys() -> None:
    assert parse(
        {
            "engines": "sglang-a, sglang-b",
            "engine_restart": "in-place",
            "ready_dir": "/run/ready",
            "prometheus_dir": "/run/prometheus",
            "crash_limit": "4",
            "crash_window_seconds": "60",
            "helper_crash_limit": "20",
            "lame_duck_seconds": "2.5",
            "haproxy_socket": "/run/haproxy.sock",
            "termination_log": "/tmp/words",
            "shim_log": "/tmp/shim.log",
            "state_file": "/log/state.json",
        }
    ) == Settings(
        engines=("sglang-a", "sglang-b"),
        engine_restart="in-place",
        ready_dir=Path("/run/ready"),
        prometheus_dir=Path("/run/prometheus"),
        crash_limit=4,
        crash_window_seconds=60,
        helper_crash_limit=20,
        lame_duck_seconds=2.5,
        haproxy_socket=Path("/run/haproxy.sock"),
        termination_log=Path("/tmp/words"),
        shim_log=Path("/tmp/shim.log"),
        state_file=Path("/log/state.json"),
    )


@pytest.mark.parametrize(
    ("key", "value", "accepted"),
    [
        ("engine_restart", "auto", "`exit` or `in-place`"),
        ("crash_limit", "0", "a whole number of 1 or more"),
        ("crash_limit", "three", "a whole number of 1 or more"),
        ("crash_window_seconds", "-1", "a number of seconds, 0 or more"),
        ("crash_window_seconds", "10min", "a number of seconds, 0 or more"),
        ("crash_window_seconds", "", "a number of seconds, 0 or more"),
        ("ready_dir", "ready", "an absolute path"),
    ],
)
def test_a_bad_value_is_named_with_what_is_accepted(key: str, value: str, accepted: str) -> None:
    with pytest.raises(ValueError, match=r"^\[shim\] ") as refused:
        parse({key: value})
    assert str(refused.value) == f"[shim] {key}={value!r}: accepted is {accepted}"


def test_an_unknown_key_is_named_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="no key 'crash_limits'") as refused:
        parse({"crash_limits": "3"})
    assert all(key in str(refused.value) for key in KEYS)


def test_engines_need_a_place_for_their_ready_files() -> None:
    with pytest.raises(ValueError, match="ready_dir"):
        parse({"engines": "sglang"})
    assert parse({"engines": "sglang", "worker_rank": "yes"}).worker_rank  # nobody waits for it


def test_the_section_follows_supervisords_grammar_and_is_passed_over_by_supervisord(tmp_path: Path) -> None:
    conf = tmp_path / "supervisord.conf"
    conf.write_text(
        "[supervisord]\nnodaemon=true\n[shim]\nengines=a%%b ; a comment\nready_dir=%(here)s/ready\n"
        "[program:a]\ncommand=/bin/true\n"
    )
    assert read(str(conf), {"here": "/run"}) == Settings(engines=("a%b",), ready_dir=Path("/run/ready"))
    options = ServerOptions()
    options.realize(["-c", str(conf)])
    assert [group.name for group in options.process_group_configs] == ["a"]


def test_without_the_section_there_are_no_engines(tmp_path: Path) -> None:
    conf = tmp_path / "supervisord.conf"
    conf.write_text("[supervisord]\n")
    assert read(str(conf), {}) == Settings()
