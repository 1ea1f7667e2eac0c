"""A certificate that is renewed on disk, taken up while haproxy runs: no connection is cut, and a broken one changes
nothing. `supervisor` looks in each turn of its loop; only the change of a file causes more than a look.
"""

import hashlib
import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from supervision.haproxy_socket import ask
from supervision.settings import Settings

LOOK_SECONDS = 2.0
HAPROXY_PATIENCE_SECONDS = 2.0
# haproxy 2.6.12 takes a command of at most its tune.bufsize, and answers nothing to a longer one.
LONGEST_BYTES = 60_000
# haproxy 2.6.12 could take them, but then says Success to every new certificate and goes on with the old one, or
# crashes (its issue 3165).
AUTHORITIES = (
    "the authorities of client certificates changed on disk, the old ones are kept: haproxy cannot take new ones while"
    " it runs; restart the container"
)

Identity = tuple[str, int, int, int] | None
Say = Callable[[str], None]


class Kept(Exception):
    """haproxy keeps what it has; the message says why."""


class Renewed:
    """Files that belong together, and whether they hold something new. They may be links, and missing."""

    def __init__(self, *files: Path) -> None:
        self.files = tuple(file for file in files if os.path.lexists(file))
        self._handled = self._last = self._identities()
        self._digest = b""
        with suppress(Kept):
            self._digest = _digest(self.content())

    def look(self) -> bytes | None:
        """Their content, if it is new and was the same in two looks: a key may be written after its certificate.

        Raises Kept if they cannot be read. What was returned is returned again until it is `handled`.
        """
        before, self._last = self._last, self._identities()
        if self._last == self._handled or self._last != before:
            return None
        content = self.content()
        if _digest(content) != self._digest:
            return content
        self.handled()  # a volume of Kubernetes swaps all its files for the sake of one
        return None

    def handled(self, content: bytes | None = None) -> None:
        self._handled = self._last
        if content is not None:
            self._digest = _digest(content)

    def content(self) -> bytes:
        """As one PEM text, without empty lines, which would end haproxy's reading. Raises Kept."""
        lines: list[bytes] = []
        for file in self.files:
            try:
                lines += [line for line in file.read_bytes().splitlines() if line.strip()]
            except OSError as error:
                raise Kept(f"{os.path.realpath(file)} cannot be read: {error.strerror}") from error
        if not lines:
            raise Kept("it is empty")
        return b"\n".join(lines)

    def _identities(self) -> tuple[Identity, ...]:
        return tuple(_identity(file) for file in self.files)


class Certificates:
    """Made before haproxy is started: what changes between is given to it once more."""

    def __init__(self, settings: Settings, info: Say, warn: Say) -> None:
        self._socket, folder = settings.haproxy_socket, settings.tls_dir
        self._info, self._warn = info, warn
        self._next_look = 0.0
        # The links that `render_config` has made.
        self._name = folder / "server.pem" if folder else Path()
        self._certificate = Renewed(self._name, folder / "server.pem.key") if folder else None
        self._authorities = Renewed(folder / "ca.pem") if folder else None

    def look(self) -> None:
        now = time.monotonic()
        if self._certificate is None or self._authorities is None or now < self._next_look:
            return
        self._next_look = now + LOOK_SECONDS
        try:
            content = self._certificate.look()
            if content is not None:
                self._give_to_haproxy(content)
                self._certificate.handled(content)
                self._info("the TLS certificate changed on disk: haproxy uses the new one")
        except Kept as kept:
            self._certificate.handled()
            self._warn(f"the TLS certificate changed on disk and cannot be used, the old one is kept: {kept}")
        except OSError:
            pass  # haproxy is not there, or starting: the next look tries again
        with suppress(Kept):
            if self._authorities.look() is not None:
                self._authorities.handled()
                self._warn(AUTHORITIES)

    def _give_to_haproxy(self, content: bytes) -> None:
        assert self._socket is not None
        if len(content) > LONGEST_BYTES:
            raise Kept(f"its {len(content)} bytes are too many for a running haproxy: restart the container")
        name = b"ssl cert " + re.sub(rb"([\\ ;])", rb"\\\1", os.fsencode(self._name))
        answer = ask(self._socket, b"set %s <<\n%s\n\n" % (name, content), HAPROXY_PATIENCE_SECONDS)
        if "Transaction" in answer:
            answer = ask(self._socket, b"commit %s\n" % name, HAPROXY_PATIENCE_SECONDS)
            if "Success" in answer:
                return
            ask(self._socket, b"abort %s\n" % name, HAPROXY_PATIENCE_SECONDS)
        raise Kept(" ".join(answer.split()) or "haproxy does not say why")


def _identity(file: Path) -> Identity:
    """What changes when a file is written, replaced, or a link on its way points elsewhere."""
    try:
        found = file.stat()
    except OSError:
        return None
    return os.path.realpath(file), found.st_ino, found.st_size, found.st_mtime_ns


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()
