"""Renewed certificates without haproxy: what counts as new, what is said, and how often."""

from __future__ import annotations

from pathlib import Path

import pytest

from supervision import certificates
from supervision.certificates import Certificates
from supervision.settings import Settings
from tests.supervision.haproxy import FakeHaproxy


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tls = tmp_path / "tls"
    tls.mkdir()
    for name in ("server.pem", "server.pem.key", "ca.pem"):
        (tmp_path / name).write_text(f"the first {name}\n\n")
        (tls / name).symlink_to(tmp_path / name)
    return tls


class Looking:
    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(certificates, "LOOK_SECONDS", 0.0)
        self.said: list[str] = []
        settings = Settings(tls_dir=folder, haproxy_socket=folder / "haproxy.sock")
        self.certificates = Certificates(settings, self.said.append, self.said.append)

    def look(self, times: int = 4) -> list[str]:
        for _ in range(times):
            self.certificates.look()
        return self.said


@pytest.fixture
def looking(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Looking:
    return Looking(folder, monkeypatch)


def test_nothing_new_is_nothing_to_say(looking: Looking, folder: Path) -> None:
    assert looking.look() == []
    other = folder.parent / "other"
    other.write_bytes((folder / "server.pem").read_bytes())
    other.replace(folder.parent / "server.pem")  # another file with the same content
    assert looking.look() == []


def test_without_the_flag_nothing_is_looked_at() -> None:
    said: list[str] = []
    Certificates(Settings(), said.append, said.append).look()
    assert said == []


def test_while_haproxy_is_away_it_is_tried_again(looking: Looking, folder: Path) -> None:
    (folder.parent / "server.pem").write_text("the second\n\n\nof two lines\n")
    assert looking.look() == []
    with FakeHaproxy(folder / "haproxy.sock", "Transaction created", "Success!") as haproxy:
        assert looking.look() == ["the TLS certificate changed on disk: haproxy uses the new one"]
    text = "the second\nof two lines\nthe first server.pem.key"
    name = folder / "server.pem"
    assert haproxy.heard == [f"set ssl cert {name} <<\n{text}\n\n", f"commit ssl cert {name}\n"]


def test_what_haproxy_does_not_take_is_said_once_and_undone(looking: Looking, folder: Path) -> None:
    (folder.parent / "server.pem").write_text("the second")
    with FakeHaproxy(folder / "haproxy.sock", "Transaction created", "no\nsuch luck", "aborted") as haproxy:
        (line,) = looking.look()
    assert line.endswith("the old one is kept: no such luck")
    assert haproxy.heard[-1] == f"abort ssl cert {folder / 'server.pem'}\n"


@pytest.mark.parametrize(
    ("content", "why"),
    [(None, "cannot be read"), ("", "it is empty"), ("x" * 70_000, "too many for a running haproxy")],
)
def test_what_cannot_be_a_certificate_is_said_once(
    content: str | None, why: str, looking: Looking, folder: Path
) -> None:
    (folder.parent / "server.pem.key").write_text("")
    file = folder.parent / "server.pem"
    if content is None:
        file.unlink()
    else:
        file.write_text(content)
    (line,) = looking.look()
    assert why in line


def test_new_authorities_are_said_once_and_left_alone(looking: Looking, folder: Path) -> None:
    (folder.parent / "ca.pem").write_text("others")
    assert looking.look() == [certificates.AUTHORITIES]
