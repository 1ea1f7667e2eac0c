"""The socket to listen on: our own on loopback, or one that supervision holds open across our restarts.
Called by `middleware.__main__` before anything is served.
"""

import ipaddress
import socket

from middleware.settings import Settings, SettingsError

# haproxy sends all that clients send at once, and a restart lets them queue.
BACKLOG = 2048


class CannotListen(Exception):
    """The address is taken or not ours; the message is one sentence for the operator."""


def listening_socket(settings: Settings) -> socket.socket:
    """Its connections send each token at once.

    uvicorn's own `--fd` takes the socket for a unix one and so leaves Nagle's delay on (0.54), hence the assertion.
    """
    sock = bound(settings.port) if settings.fd is None else _inherited(settings.fd)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if not sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY):
        raise CannotListen("TCP_NODELAY could not be set on the listening socket")
    return sock


def bound(port: int) -> socket.socket:
    """On loopback; or CannotListen."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("127.0.0.1", port))
        sock.listen(BACKLOG)
    except OSError as exc:
        sock.close()
        raise CannotListen(f"cannot listen on 127.0.0.1:{port}: {exc.strerror}") from exc
    return sock


def _inherited(fd: int) -> socket.socket:
    try:
        sock = socket.socket(fileno=fd)
    except (OSError, ValueError) as exc:
        raise SettingsError(f"--fd {fd} is not a socket") from exc
    tcp = sock.family in (socket.AF_INET, socket.AF_INET6) and sock.type == socket.SOCK_STREAM
    if not tcp or not ipaddress.ip_address(sock.getsockname()[0]).is_loopback:
        sock.detach()
        raise SettingsError(f"--fd {fd} is not a TCP socket on loopback")
    sock.listen(BACKLOG)
    return sock
