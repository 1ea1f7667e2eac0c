"""Listening sockets of fcgi-programs, kept open while nobody accepts: a restart queues clients and refuses none.
`supervisor` keeps one per group, and lets go of it when the group's processes are gone for good.
"""

import socket
from typing import Any

from supervisor.process import FastCGIProcessGroup


class KeptSockets:
    def __init__(self) -> None:
        self._kept: dict[str, Any] = {}

    def keep(self, group: Any) -> None:
        """supervisord 4.3.0 counts only living processes, so that with one process the socket dies with it."""
        if not isinstance(group, FastCGIProcessGroup):
            return
        listener = group.socket_manager.get_socket()
        if listener.family in (socket.AF_INET, socket.AF_INET6):
            # Accepted connections inherit it (Linux). uvicorn 0.54 opens `--fd` as AF_UNIX and sets it on none.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._kept[group.config.name] = listener

    def release(self, name: str) -> None:
        self._kept.pop(name, None)

    def release_unused(self, groups: dict[str, Any]) -> None:
        """During a shutdown: clients of a dead program would wait for an answer until their own timeout."""
        for name, group in groups.items():
            if not any(process.pid for process in group.processes.values()):
                self.release(name)
