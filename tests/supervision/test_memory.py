"""The cgroup as version 2 and version 1 show it, inside a container and outside; and a real kill by the kernel."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervision.memory import Cgroup, Kills, Memory, size
from tests.supervision.programs import ends_with
from tests.supervision.supervised import Container, eventually

V2 = {
    "memory.peak": "900\n",
    "memory.current": "500\n",
    "memory.max": "1000\n",
    "memory.events": "low 0\nhigh 0\nmax 7\noom 2\noom_kill 3\noom_group_kill 1\n",
    "memory.stat": "anon 300\ninactive_file 200\n",
}
V1 = {
    "memory.max_usage_in_bytes": "900\n",
    "memory.usage_in_bytes": "500\n",
    "memory.limit_in_bytes": "1000\n",
    "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
    "memory.stat": "inactive_file 1\ntotal_inactive_file 200\n",
}
ALL = Memory(peak=900, used=300, limit=1000, oom_kills=3)


def folder(path: Path, files: dict[str, str]) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (path / name).write_text(text)
    return path


@pytest.mark.parametrize(
    ("own", "place", "files"),
    [
        pytest.param("0::/", "", V2, id="v2-in-a-container"),
        pytest.param("0::/system.slice/x.service", "system.slice/x.service", V2, id="v2-outside"),
        pytest.param("0::/kubepods/pod1/c1", "", V2, id="v2-by-the-hosts-path"),
        pytest.param("4:memory:/docker/c1\n0::/", "memory", V1, id="v1-in-a-container"),
        pytest.param("4:memory:/user/x\n1:cpu:/", "memory/user/x", V1, id="v1-outside"),
        pytest.param("nonsense\n:\n0::/", "", V2, id="nonsense"),
    ],
)
def test_every_way_a_cgroup_is_shown(tmp_path: Path, own: str, place: str, files: dict[str, str]) -> None:
    (tmp_path / "own").write_text(own)
    folder(tmp_path / "cgroup", {})
    folder(tmp_path / "cgroup" / place, files)
    assert Cgroup(tmp_path / "cgroup", tmp_path / "own").look() == ALL


@pytest.mark.parametrize(
    ("name", "text"), [("memory.max", "max\n"), ("memory.limit_in_bytes", f"{(1 << 63) - 4096}\n")]
)
def test_no_limit_is_none(tmp_path: Path, name: str, text: str) -> None:
    version = V2 if name in V2 else V1
    root = folder(tmp_path / ("" if name in V2 else "memory"), {**version, name: text})
    assert Cgroup(root if name in V2 else tmp_path, tmp_path / "own").look().limit is None


def test_a_kernel_that_knows_no_peak_is_sampled(tmp_path: Path) -> None:
    folder(tmp_path, {name: text for name, text in V2.items() if name != "memory.peak"})
    cgroup = Cgroup(tmp_path, tmp_path / "own")
    assert cgroup.look().peak == 500
    for used, peak in ((700, 700), (400, 700)):
        (tmp_path / "memory.current").write_text(str(used))
        assert cgroup.look().peak == peak


def test_without_a_cgroup_nothing_is_known(tmp_path: Path) -> None:
    assert Cgroup(tmp_path / "none", tmp_path / "neither").look() == Memory()
    assert size(None) == "unknown"
    assert size(8 << 30) == "8 GiB"


def test_a_growth_explains_one_death_that_comes_soon_after_it(tmp_path: Path) -> None:
    now = 1000.0

    def grow(count: int) -> None:
        (tmp_path / "memory.events").write_text(f"oom_kill {count}\n")
        kills.watch()

    folder(tmp_path, {**V2, "memory.max": str(8 << 30), "memory.peak": str(8 << 30)})
    kills = Kills(Cgroup(tmp_path, tmp_path / "own"), lambda: now)
    assert kills.explain(killed=True) == "", "an earlier container's"
    now += 5
    grow(4)
    now += 3
    assert kills.explain(killed=True) == (
        "killed by the kernel for memory: the container's limit is 8 GiB, its peak was 8 GiB"
    )
    assert kills.explain(killed=True) == ""
    grow(5)
    now += 3600
    assert kills.explain(killed=False) == "", "an exec'd tool's, of an hour ago"
    grow(6)
    assert kills.explain(killed=False).startswith("after the kernel had killed a process of it for memory: ")


@pytest.fixture
def small_cgroup() -> Iterator[Path]:
    """Of 128 MB, in this process's own."""
    own = {line.split(":", 2)[1]: line.split(":", 2)[2] for line in Path("/proc/self/cgroup").read_text().splitlines()}
    v1 = Path("/sys/fs/cgroup/memory" + own.get("memory", "/none"))
    v2 = Path("/sys/fs/cgroup" + own.get("", "/none"))
    parent, limit = (v1, "memory.limit_in_bytes") if v1.is_dir() else (v2, "memory.max")
    made = parent / f"supervision-test-{os.getpid()}"
    try:
        made.mkdir()
        (made / limit).write_text("134217728")
    except OSError as error:
        if made.is_dir():
            made.rmdir()
        pytest.skip(f"a cgroup cannot be made here: {error}")
    yield made
    eventually(lambda: not (made / "cgroup.procs").read_text(), "the end of all in it")
    made.rmdir()


@pytest.mark.parametrize("said", [None, "[x] Rank 0 scheduler died during initialization (exit code: -9)."])
def test_a_start_that_the_kernel_kills_is_explained_and_in_place_not_tried_again(
    tmp_path: Path, small_cgroup: Path, said: str | None
) -> None:
    enter = ["/bin/sh", "-c", f'echo $$ > {small_cgroup}/cgroup.procs && exec "$@"', "enter"]
    container = Container(tmp_path, under=enter, engines="engine", engine_restart="in-place")
    container.program("engine", ends_with(f"print({said!r}, flush=True)\ntaken = bytearray(400 << 20)"))
    with container:
        assert container.exit_code() == 137
    assert container.output().count("INFO spawned: 'engine'") == 1
    words = "\n".join(container.last_lines(4))
    assert (
        "[supervisor] engine: signal SIGKILL in phase start, killed by the kernel for memory:"
        " the container's limit is 0.125 GiB, its peak was 0.125 GiB; died before it was ready"
    ) in words
    assert "out of memory: of the host, not of the GPU" in words
