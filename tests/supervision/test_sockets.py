"""The listening socket of an fcgi-program: open while the program is away, shut when it will not come back."""

import os
import signal
import socket
import threading
from pathlib import Path

from tests.supervision.supervised import Container, eventually

# Answers each connection with its TCP_NODELAY; slow to start, as a real middleware is.
SERVER = """
import socket, time
time.sleep(0.3)
listener = socket.socket(fileno=0)
print("accepting", flush=True)
while True:
    client, _ = listener.accept()
    client.sendall(b"nodelay=%d" % client.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
    client.close()
"""

# Does not end before the test has looked.
WAITS_FOR_THE_TEST = """
import os, signal, sys, time
def stop(number, frame):
    print("told", flush=True)
    while not os.path.exists("looked"):
        time.sleep(0.02)
    sys.exit()
signal.signal(signal.SIGTERM, stop)
print("up", flush=True)
while True:
    time.sleep(60)
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Caller:
    """Connects again and again, as haproxy does; counts what came back."""

    def __init__(self, port: int) -> None:
        self.answers: list[bytes] = []
        self.refused = 0
        self._port = port
        self._hung_up = threading.Event()
        self._thread = threading.Thread(target=self._call)
        self._thread.start()

    def _call(self) -> None:
        while not self._hung_up.is_set():
            try:
                with socket.create_connection(("127.0.0.1", self._port), timeout=30) as connection:
                    self.answers.append(connection.recv(100))
            except ConnectionRefusedError:
                self.refused += 1
            except ConnectionResetError:
                pass  # was being answered at the moment of the kill
            self._hung_up.wait(0.005)

    def hang_up(self) -> None:
        self._hung_up.set()
        self._thread.join()


def test_no_connection_is_refused_while_the_program_is_restarted(tmp_path: Path) -> None:
    port = free_port()
    container = Container(tmp_path)
    container.program("middleware", SERVER, kind="fcgi-program", socket=f"tcp://127.0.0.1:{port}", socket_backlog=512)
    with container:
        container.said("accepting")
        caller = Caller(port)
        try:
            for life in (1, 2):
                answered = len(caller.answers)
                eventually(lambda seen=answered: len(caller.answers) > seen + 5, "answers")  # type: ignore[misc]
                os.kill(container.spawned("middleware", life), signal.SIGKILL)
                container.said("accepting", life + 1)
            assert "middleware: started" in container.control("restart", "middleware")
            answered = len(caller.answers)
            eventually(lambda: len(caller.answers) > answered + 5, "answers after the restart")
        finally:
            caller.hang_up()
    assert caller.refused == 0
    assert set(caller.answers) - {b""} == {b"nodelay=1"}


def test_clients_are_refused_once_it_is_gone_for_good(tmp_path: Path) -> None:
    port = free_port()
    container = Container(tmp_path)
    container.program("engine", WAITS_FOR_THE_TEST, priority=10, stopwaitsecs=60)
    container.program("middleware", SERVER, kind="fcgi-program", socket=f"tcp://127.0.0.1:{port}", priority=20)
    with container:
        container.said("accepting")
        container.said(r"^\[engine\] up$")
        container.send(signal.SIGTERM)
        container.said(r"^\[engine\] told$")
        try:
            with socket.socket() as client:
                assert client.connect_ex(("127.0.0.1", port)) != 0, "queued, with nobody to answer"
        finally:
            (tmp_path / "looked").touch()
        assert container.exit_code() == 0


def test_a_port_that_is_taken_is_a_sentence_and_exit_2(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        container = Container(tmp_path)
        container.program("middleware", SERVER, kind="fcgi-program", socket=f"tcp://127.0.0.1:{port}")
        with container:
            assert container.exit_code() == 2
    assert f"Could not create FastCGI socket tcp://127.0.0.1:{port}" in container.errors()
    assert "Traceback" not in container.errors()
