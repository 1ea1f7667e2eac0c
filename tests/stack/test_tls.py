"""TLS at haproxy, with certificates made by the openssl command: answers, client certificates, renewal; and a unix
socket in the place of a port."""

from __future__ import annotations

import socket
import ssl
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.server import PATIENCE, Server, wait_for
from tests.stack.conftest import Serve
from tests.stack.test_bad_starts import run, sentence

pytestmark = pytest.mark.stack
CHAT = {"model": "stand-in", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 8}


def certificate(folder: Path, name: str, *, key: str = "ec") -> tuple[Path, Path]:
    """A certificate that signs itself, and its key."""
    folder.mkdir(exist_ok=True)
    crt, pem = folder / "tls.crt", folder / "tls.key"
    kind = ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"] if key == "ec" else ["rsa:2048"]
    names = ["-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-nodes", "-days", "2", "-newkey", *kind, *names]
    subprocess.run([*command, "-keyout", pem, "-out", crt], check=True, capture_output=True)
    return crt, pem


def over_tls(server: Server, trusted: Path, client: tuple[Path, Path] | None = None) -> Server:
    """The server's own client speaks TLS from here on, so that waiting for it works."""
    context = ssl.create_default_context(cafile=trusted)
    if client:
        context.load_cert_chain(*client)
    server.client.close()
    server.url = server.url.replace("http://", "https://")
    server.client = httpx.Client(base_url=server.url, timeout=PATIENCE, trust_env=False, verify=context)
    return server


def common_name(server: Server) -> str:
    """Of the certificate that is shown now, whoever has signed it."""
    shown = ssl.get_server_certificate(("127.0.0.1", server.port))
    found = subprocess.run(
        ["openssl", "x509", "-noout", "-subject", "-nameopt", "multiline"],
        input=shown,
        check=True,
        capture_output=True,
        text=True,
    )
    return found.stdout.rpartition("= ")[2].strip()


def listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


def test_https_answers_health_and_a_chat_and_offers_http_1_1(serve: Serve, tmp_path: Path) -> None:
    crt, key = certificate(tmp_path / "certs", "first")
    server = over_tls(serve("stand-in", "--ssl-certfile", str(crt), "--ssl-keyfile", str(key)), crt)
    server.wait_ready()
    answer = server.client.post("/v1/chat/completions", json=CHAT)
    assert answer.status_code == 200, answer.text
    with server.client.stream("POST", "/v1/chat/completions", json={**CHAT, "stream": True}) as stream:
        assert [line for line in stream.iter_lines() if line][-1] == "data: [DONE]"
    redirect = server.client.post("/v1/chat/completions/", json=CHAT, headers={"x-forwarded-proto": "http"})
    assert redirect.headers["location"] == f"{server.url}/v1/chat/completions"
    context = ssl.create_default_context(cafile=crt)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection(("127.0.0.1", server.port), 10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as tls,
    ):
        assert tls.selected_alpn_protocol() == "http/1.1"
    with pytest.raises(httpx.TransportError), httpx.Client(trust_env=False) as client:
        client.get(f"http://127.0.0.1:{server.port}/health")
    assert "with TLS" in server.output
    private = key.read_bytes()
    assert not [
        p for p in server.run_dir.rglob("*") if p.is_file() and not p.is_symlink() and private in p.read_bytes()
    ]
    assert server.stop() == 0


def test_one_file_may_hold_certificate_and_key(serve: Serve, tmp_path: Path) -> None:
    crt, key = certificate(tmp_path / "certs", "both", key="rsa")
    both = tmp_path / "both.pem"
    both.write_bytes(key.read_bytes() + crt.read_bytes())
    server = over_tls(serve("stand-in", "--ssl-certfile", str(both)), crt)
    server.wait_ready()


def test_a_client_certificate_is_required_of_everybody(serve: Serve, tmp_path: Path) -> None:
    crt, key = certificate(tmp_path / "server", "server")
    mine, stranger = certificate(tmp_path / "mine", "mine"), certificate(tmp_path / "stranger", "stranger")
    words = ["--ssl-certfile", crt, "--ssl-keyfile", key, "--ssl-ca-certs", mine[0], "--ssl-cert-reqs", "2"]
    server = over_tls(serve("stand-in", *map(str, words)), crt, mine)
    server.wait_ready()
    assert server.client.post("/v1/chat/completions", json=CHAT).status_code == 200
    for client in (None, stranger):
        context = ssl.create_default_context(cafile=crt)
        if client:
            context.load_cert_chain(*client)
        with (
            httpx.Client(base_url=server.url, trust_env=False, verify=context) as refused,
            pytest.raises(httpx.TransportError),
        ):
            refused.get("/health")


def test_an_optional_client_certificate_may_be_missing_and_not_be_wrong(serve: Serve, tmp_path: Path) -> None:
    crt, key = certificate(tmp_path / "server", "server")
    mine, stranger = certificate(tmp_path / "mine", "mine"), certificate(tmp_path / "stranger", "stranger")
    words = ["--ssl-certfile", crt, "--ssl-keyfile", key, "--ssl-ca-certs", mine[0], "--ssl-cert-reqs", "1"]
    server = over_tls(serve("stand-in", *map(str, words)), crt)
    server.wait_ready()
    assert over_tls(server, crt, mine).health() == 200
    assert over_tls(server, crt, stranger).health() == 0


def test_a_renewed_certificate_is_taken_up_and_a_broken_one_is_not(serve: Serve, tmp_path: Path) -> None:
    """As a volume of Kubernetes does it: a link on the way to the files is swapped."""
    versions = {name: certificate(tmp_path / name, name) for name in ("first", "second", "third")}
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/tls.crt").write_bytes(versions["third"][0].read_bytes())
    (tmp_path / "broken/tls.key").write_bytes(versions["first"][1].read_bytes())
    current = tmp_path / "current"
    current.symlink_to("first")

    def swap(name: str) -> None:
        link = tmp_path / "next"
        link.symlink_to(name)
        link.rename(current)

    words = ["--ssl-certfile", current / "tls.crt", "--ssl-keyfile", current / "tls.key", "--enable-ssl-refresh"]
    words += ["--ssl-ca-certs", current / "tls.crt", "--ssl-cert-reqs", "1"]
    server = over_tls(serve("stand-in", *map(str, words)), versions["first"][0])
    server.wait_ready()
    haproxy = server.pid("haproxy")
    assert common_name(server) == "first"

    swap("second")
    wait_for(lambda: common_name(server) == "second", "the second certificate")
    wait_for(lambda: "the TLS certificate changed on disk: haproxy uses the new one" in server.output, "a line")
    swap("broken")
    line = wait_for(
        lambda: next((line for line in server.lines if "the old one is kept" in line), None), "the broken one's line"
    )
    assert line is not None
    assert "inconsistencies between private key and certificate" in line
    assert common_name(server) == "second"

    swap("third")
    wait_for(lambda: common_name(server) == "third", "the third certificate")
    assert server.pid("haproxy") == haproxy
    assert over_tls(server, versions["third"][0]).health() == 200
    wait_for(lambda: "the authorities of client certificates changed on disk" in server.output, "the authorities' line")
    assert "PRIVATE KEY" not in server.output


def test_what_tls_lacks_is_said_before_anything_starts(tmp_path: Path) -> None:
    crt, key = certificate(tmp_path / "a", "a")
    other = certificate(tmp_path / "b", "b")[1]
    locked = tmp_path / "locked.key"
    subprocess.run(
        ["openssl", "ec", "-aes256", "-passout", "pass:x", "-in", key, "-out", locked], check=True, capture_output=True
    )
    nonsense = tmp_path / "nonsense"
    nonsense.write_text("no PEM")
    cases: list[tuple[list[object], str]] = [
        (["--ssl-certfile", "/no.crt", "--ssl-keyfile", key], "--ssl-certfile /no.crt cannot be read"),
        (["--ssl-certfile", crt, "--ssl-keyfile", "/no.key"], "--ssl-keyfile /no.key cannot be read"),
        (["--ssl-certfile", crt], "holds no private key"),
        (["--ssl-certfile", tmp_path, "--ssl-keyfile", key], "cannot be read"),
        (["--ssl-certfile", crt, "--ssl-keyfile", locked], "the key is encrypted"),
        (["--ssl-certfile", crt, "--ssl-keyfile", other], f"loaded '{crt}'"),
        (["--ssl-certfile", nonsense, "--ssl-keyfile", key], f"{nonsense}"),
        (["--ssl-certfile", crt, "--ssl-keyfile", key, "--ssl-ciphers", "NONE-SUCH"], "cipher"),
    ]
    for words, message in cases:
        found = run(["serve", "m", *map(str, words)], tmp_path)
        assert (found.returncode, message in sentence(found)) == (1, True), found.stderr


def test_a_unix_socket_takes_the_place_of_the_port(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "v 1.sock"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    server = serve("stand-in", "--uds", str(path))
    transport = httpx.HTTPTransport(uds=str(path))
    server.client.close()
    server.client = httpx.Client(transport=transport, base_url="http://x", timeout=PATIENCE, trust_env=False)
    wait_for(lambda: listens(path), "haproxy")  # httpx forgets to close a socket that nobody answers
    server.wait_ready()
    assert server.client.post("/v1/chat/completions", json=CHAT).status_code == 200
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), 5).close()
    second = run(["serve", "m", "--uds", str(path)], tmp_path)
    assert "another server listens there" in sentence(second)
    assert server.stop() == 0


def test_a_unix_socket_replaces_nothing_that_is_not_one(tmp_path: Path) -> None:
    treasure = tmp_path / "file"
    treasure.write_text("mine")
    for path, message in ((treasure, "something else than a socket"), (tmp_path / "no/x", "does not exist")):
        found = run(["serve", "m", "--uds", str(path)], tmp_path)
        assert (found.returncode, message in sentence(found)) == (1, True)
    assert treasure.read_text() == "mine"
