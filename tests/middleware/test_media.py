"""Which URLs may be opened: never a file outside the folder, whichever way it is written."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import socket
from pathlib import Path
from urllib.parse import urlparse

import hypothesis
import pytest
import requests
from hypothesis import strategies as st

from middleware.errors import Refused
from middleware.media import require_allowed


def refusal(url: str, folder: str = "") -> str:
    with pytest.raises(Refused) as caught:
        require_allowed(url, folder)
    assert caught.value.response.status_code == 400
    message: str = json.loads(bytes(caught.value.response.body))["error"]["message"]
    return message


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    media = tmp_path / "media"
    (media / "sub").mkdir(parents=True)
    (media / "a b.png").write_bytes(b"")
    (media / "sub" / "c.png").write_bytes(b"")
    (tmp_path / "media2").mkdir()
    (tmp_path / "secret").write_text("")
    (media / "link").symlink_to(tmp_path / "secret")
    (media / "out").symlink_to(tmp_path)
    (media / "loop").symlink_to(media / "loop")
    return media


@pytest.mark.parametrize(
    "authority",
    [
        "localhost",
        "LOCALHOST.",
        "x.localhost:8001",
        "127.0.0.1:8001",
        "user:pw@127.1",
        "0x7f000001",
        "2130706433",
        "0",
        "[::1]:8001",
        "[::ffff:127.0.0.1]",
        "[::]",
        "h\\@127.0.0.1",
        "127.0.0.1\\@h",
        "0177.0.0.1",
        "127.0.0.1.",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:0:0:1]",
        "\uff11\uff12\uff17.0.0.1",
        "127\u30020\uff610\uff0e1",
        "\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3",
        "\u00ad127.0.0.1",
        "local\u200bhost",
        "localhost.localdomain",
        "ip6-loopback",
    ],
)
def test_this_servers_own_addresses_are_refused(authority: str) -> None:
    """SGLang's control port listens there, and a GET of /flush_cache is an image like any other."""
    for scheme in ("http", "https"):
        message = refusal(f"{scheme}://{authority}/flush_cache")
        assert message == "The URL must not be one of this server's own addresses."


@pytest.mark.parametrize(
    "authority",
    [
        "%31%32%37.0.0.1:8001",
        "localhos%74",
        "h%2e@%6cocalhost",
        "[::1%25lo]",
        "127.0.0.1%00.h",
        " 127.0.0.1",
        "127.0.0.1\t",
        "h\n",
        "a@b@127.0.0.1",
    ],
)
def test_a_host_is_written_plainly(authority: str) -> None:
    """urllib3 unescapes a host before it looks it up."""
    message = refusal(f"http://{authority}/flush_cache")
    assert message == "The URL's host must be written plainly, without escapes and blanks."


@hypothesis.settings(deadline=None)
@hypothesis.given(st.text(st.sampled_from("127.0:@[]%\\/?# \t\uff11\u3002localhst"), max_size=14))
def test_what_is_allowed_is_not_this_machine_to_sglangs_client(authority: str) -> None:
    url = f"http://{authority}/flush_cache"
    try:
        require_allowed(url, "")
    except Refused:
        return
    try:
        asked = urlparse(requests.Request("GET", url).prepare().url or "").hostname
    except (requests.RequestException, ValueError):
        return
    with contextlib.suppress(OSError, UnicodeError):
        found = {info[4][0] for info in socket.getaddrinfo(asked, 80, flags=socket.AI_NUMERICHOST)}
        assert not any(ipaddress.ip_address(each).is_loopback for each in found)
    assert asked not in ("localhost", "localhost.")


@pytest.mark.parametrize("url", ["http:///x", "file://[::", "http://[::", "https://[1/x"])
def test_an_address_that_cannot_be_read_is_no_url(url: str) -> None:
    assert refusal(url, "/") == "The URL must be either a HTTP, data or file URL."


@pytest.mark.parametrize(
    "url",
    [
        "http://h/a.png",
        "http://10.0.0.1:8001/a.png",
        "https://[2001:db8::1]/a.png",
        "https://h/a.png",
        "https://b\u00fccher.example/a.png",
        "https://user:p%40ss@h:8443/a%20b.png",
        "data:image/png;base64,AAAA",
    ],
)
def test_what_lies_elsewhere_is_allowed(url: str) -> None:
    require_allowed(url, "")


@pytest.mark.parametrize(
    "url",
    [
        "/etc/passwd",
        "etc/passwd",
        "../etc/passwd",
        "FILE:///etc/passwd",
        " file:///etc/passwd",
        "file:/etc/passwd",
        "HTTP://h/etc/passwd",
        "x:/etc/passwd",
        "DATA:/etc/passwd",
        "ftp://h/a.png",
        "AAAA",
        "",
    ],
)
def test_what_is_no_url_is_refused_with_a_folder_and_without(url: str, folder: Path) -> None:
    for given in ("", "/", str(folder)):
        assert refusal(url, given) == "The URL must be either a HTTP, data or file URL."


def test_without_a_folder_no_file_is_allowed(folder: Path) -> None:
    message = "Cannot load local files without `--allowed-local-media-path`."
    assert refusal(f"file://{folder}/sub/c.png") == message


@pytest.mark.parametrize("path", ["sub/c.png", "a%20b.png", "a b.png", "not-there.png", "sub/../sub/c.png"])
def test_files_below_the_folder_are_allowed(path: str, folder: Path) -> None:
    require_allowed(f"file://{folder}/{path}", str(folder))
    require_allowed(f"file://{folder}/{path}", f"{folder}/sub/..")


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/..",
        "/../secret",
        "/sub/../../secret",
        "/%2e%2e/secret",
        "/..%2fsecret",
        "/x?/../../secret",
        "/x#/../../secret",
        "/link",
        "/out/secret",
        "/loop/a",
        "2/x.png",
        "/a%00b",
        "/a\0b",
        "/\n../../secret",
        "/.\n./secret",
    ],
)
def test_no_way_leads_out_of_the_folder(path: str, folder: Path) -> None:
    assert "must be a subpath of `--allowed-local-media-path`" in refusal(f"file://{folder}{path}", str(folder))


@pytest.mark.parametrize("url", ["file://localhost/etc/passwd", "file://etc/passwd", "file://", "file://../secret"])
def test_a_host_in_a_file_url_is_no_folder(url: str, folder: Path) -> None:
    assert "must be a subpath" in refusal(url, str(folder))
