"""Nothing outlives its program, wherever it has hidden; everything else is left alone."""

import os
import signal
from pathlib import Path

from tests.supervision.programs import SLEEP
from tests.supervision.supervised import Container, eventually, is_alive

FORK = """
import os, time
def fork(detach, then=lambda: None):
    if os.fork() == 0:
        if detach:
            os.setsid()
        with open("family", "a") as family:
            family.write("%d\\n" % os.getpid())
        then()
        time.sleep(600)
def forget():
    os.execve("/bin/sleep", ["sleep", "600"], {})
"""

# One child in the group, without an environment; one in a session of its own, and a child of that in yet another.
FAMILY = f"""{FORK}
fork(False, forget)
fork(True, lambda: fork(True))
time.sleep(600)
"""

# In a session of its own and without an environment: nothing tells whose child it was.
NAMELESS = f"""{FORK}
fork(True, forget)
time.sleep(600)
"""


# Leaves a child that is nobody's but ours, and lives on.
DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        with open("family", "w") as family:
            family.write("%d\\n" % os.getpid())
        time.sleep(600)
    os._exit(0)
os.wait()
time.sleep(600)
"""


def family(directory: Path, members: int) -> list[int]:
    def look() -> list[int]:
        file = directory / "family"
        pids = [int(line) for line in file.read_text().split()] if file.exists() else []
        return pids if len(pids) == members else []

    return eventually(look, f"{members} members of the family")


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def gone(pids: list[int]) -> None:
    eventually(lambda: not any(map(is_alive, pids)), f"the end of {pids}")


def test_a_killed_program_takes_its_whole_family_along(tmp_path: Path) -> None:
    container = Container(tmp_path)
    container.program("helper", FAMILY)
    with container:
        old = family(tmp_path, 3)
        os.kill(container.spawned("helper"), signal.SIGKILL)
        container.spawned("helper", times=2)
        gone(old)
        new = family(tmp_path, 6)[3:]
        assert all(map(is_alive, new)), "the family of the new life is not touched"
        container.send(signal.SIGTERM)
        assert container.exit_code() == 0
        gone(new)


def test_a_stopped_program_takes_its_whole_family_along(tmp_path: Path) -> None:
    container = Container(tmp_path)
    container.program("helper", FAMILY)
    container.program("other", SLEEP)
    with container:
        members = family(tmp_path, 3)
        container.control("stop", "helper")
        gone(members)
        assert is_alive(container.spawned("other"))


def test_at_the_end_nothing_is_left_not_even_what_nobody_can_tell_the_parent_of(tmp_path: Path) -> None:
    container = Container(tmp_path)
    container.program("helper", NAMELESS)
    with container:
        (nameless,) = family(tmp_path, 1)
        eventually(lambda: Path(f"/proc/{nameless}/environ").read_bytes() == b"", "the exec")
        container.control("stop", "helper")
        assert is_alive(nameless), "it might be anybody's: spared until the end"
        container.send(signal.SIGTERM)
        assert container.exit_code() == 0
        assert not is_alive(nameless)


def test_a_detached_child_of_a_living_program_is_spared(tmp_path: Path) -> None:
    """The program's child has ended, so its own child is handed to us while the program lives."""
    container = Container(tmp_path)
    container.program("helper", DAEMON)
    container.program("other", SLEEP)
    with container:
        members = family(tmp_path, 1)
        eventually(lambda: parent_of(members[0]) == container.pid, "the adoption")
        os.kill(container.spawned("other"), signal.SIGKILL)
        container.spawned("other", times=2)
        container.control("status")
        assert all(map(is_alive, members))
