"""Files that somebody named, of every kind that is none: nothing is waited for, and the reason is a few words."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from shims import files
from tests.shims.test_caches import as_anybody, world  # noqa: F401 - a fixture


def test_a_file_is_read_whole_and_as_text(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes("é\n".encode())
    assert files.read(path) == "é\n".encode()
    assert files.read_text(str(path)) == "é\n"
    assert files.is_there(path)
    assert not files.unreadable(path)
    path.write_bytes(b"\xff")
    with pytest.raises(UnicodeDecodeError) as caught:
        files.read_text(path)
    assert files.reason(caught.value) == "a character of it is not UTF-8"


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to("loop")
    reasons = {
        str(tmp_path): "it is a folder",
        f"{tmp_path}/fifo": "it is no file",
        "/dev/zero": "it is no file",
        f"{tmp_path}/none": "No such file or directory",
        f"{tmp_path}/loop": "Too many levels of symbolic links",
        f"{tmp_path}/{'x' * 300}": "File name too long",
        "a\0b": "no file can have this name",
        "a\ud800": "no file can have this name",
    }
    for path, reason in reasons.items():
        with pytest.raises(OSError, match=r".") as caught:
            files.read(path)
        assert files.reason(caught.value) == reason


def test_a_file_beyond_the_bound_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "disk").touch()
    os.truncate(tmp_path / "disk", files.LARGEST + 1)  # a hole: it takes no room
    assert files.unreadable(tmp_path / "disk") == "cannot be read (it is larger than 10 MB)"
    os.truncate(tmp_path / "disk", files.LARGEST)
    assert not files.unreadable(tmp_path / "disk")


def test_absence_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert not files.absence(tmp_path)
    assert files.absence(tmp_path / "none") == files.absence(tmp_path / "file/below") == "does not exist"
    assert files.absence("x" * 300) == "cannot be reached (File name too long)"
    assert files.absence("a\0b").startswith("cannot be reached (")


def test_what_this_user_may_not_enter_or_read_is_said(world: Path) -> None:  # noqa: F811
    folder = world / "locked"
    folder.mkdir()
    (folder / "model").mkdir()
    (world / "file").touch()
    folder.chmod(0o700)
    (world / "file").chmod(0)

    def ask() -> None:
        if os.geteuid() != 0:
            assert files.absence(folder / "model") == "cannot be reached (Permission denied)"
            assert files.unreadable(world / "file") == "cannot be read (Permission denied)"

    as_anybody(ask)
