"""Whether haproxy can open the front door: its program, the address, the socket's place, the TLS files, its own word.
Called by `__main__` before anything starts; haproxy itself would say so only after the engine has begun to load.
"""

from __future__ import annotations

import errno
import os
import re
import socket
import stat
import subprocess
from pathlib import Path

from shims import files
from shims.exceptions import StartError
from shims.plan import Plan

PRIVATE_KEY = re.compile(rb"-----BEGIN (\w+ )*PRIVATE KEY-----")
ENCRYPTED = re.compile(rb"-----BEGIN ENCRYPTED PRIVATE KEY-----|Proc-Type: 4,ENCRYPTED")


def check(chosen: Plan) -> None:
    """Raises StartError."""
    if not chosen.facts.haproxy:
        raise StartError("haproxy is not installed: it is the front door (Debian and Ubuntu: apt-get install haproxy)")
    if chosen.unix_socket:
        _place_for_a_socket(chosen.unix_socket)
    else:
        _can_be_bound(chosen)
    if chosen.tls.certfile:
        _tls_files(chosen)


def accepts(chosen: Plan) -> None:
    """haproxy's own word on the written file, in the operator's terms. Raises StartError."""
    run_dir, tls = chosen.facts.run_dir, chosen.tls
    command = [chosen.facts.haproxy, "-c", "-f", f"{run_dir}/haproxy.cfg"]
    found = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if found.returncode:
        alerts = [line.partition(" : ")[2] for line in found.stderr.splitlines() if "[ALERT]" in line]
        said = "; ".join(alerts) or found.stderr.strip()
        for link, file in ((f"{run_dir}/tls/server.pem", tls.certfile), (f"{run_dir}/tls/ca.pem", tls.ca_certs)):
            said = said.replace(link, file) if file else said
        raise StartError(f"haproxy cannot be started: {said}")


def _can_be_bound(chosen: Plan) -> None:
    host, port = chosen.host or ("::" if chosen.facts.ipv6 else "0.0.0.0"), chosen.ports.public
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except (OSError, UnicodeError) as error:  # a label of the name is too long for DNS
        raise StartError(f"port {port} of {host} cannot be bound: {_said(error)}; check --host and --port") from error


def _place_for_a_socket(path: str) -> None:
    """haproxy 2.6.12 puts its socket in the place of whatever is there, a file of somebody's or a living server's
    socket; only one that a dead server left may go."""
    folder = Path(path).parent
    if not files.is_there(f"{folder}/") or not os.access(folder, os.W_OK | os.X_OK):
        raise StartError(f"--uds {path}: the folder {folder} does not exist or cannot be written to")
    try:
        if not stat.S_ISSOCK(Path(path).lstat().st_mode):
            raise StartError(f"--uds {path}: there is something else than a socket; remove it, or give another path")
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1)
            probe.connect(path)
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno == errno.ECONNREFUSED:
            return  # nobody listens: left behind
        raise StartError(f"--uds {path}: {error.strerror or error}; give another path") from error
    raise StartError(f"--uds {path}: another server listens there; stop it, or give another path")


def _tls_files(chosen: Plan) -> None:
    tls = chosen.tls
    given = {"--ssl-certfile": tls.certfile, "--ssl-keyfile": tls.keyfile, "--ssl-ca-certs": tls.ca_certs}
    texts = {flag: _read(flag, path) for flag, path in given.items() if path}
    for flag in ("--ssl-keyfile", "--ssl-certfile"):
        if ENCRYPTED.search(texts.get(flag, b"")):
            raise StartError(f"{flag} {given[flag]}: the key is encrypted, and no flag gives its password; decrypt it")
    if not tls.keyfile and not PRIVATE_KEY.search(texts["--ssl-certfile"]):
        raise StartError(f"--ssl-certfile {tls.certfile} holds no private key: give its file with --ssl-keyfile")


def _read(flag: str, path: str) -> bytes:
    try:
        return files.read(path)
    except OSError as error:
        raise StartError(
            f"{flag} {path} cannot be read: {files.reason(error)}; check the path and its volume"
        ) from error


def _said(error: OSError | UnicodeError) -> str:
    return "it is no name of a host" if isinstance(error, UnicodeError) else files.reason(error)
