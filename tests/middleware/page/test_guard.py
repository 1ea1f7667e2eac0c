"""Who is let in at the page's port, and who is not: other sites' pages in the same browser, and other names."""

from __future__ import annotations

import pytest

from middleware.page.guard import refusal

HERE = "127.0.0.1:8090"


def asked(method: str = "GET", host: str = HERE, **headers: str) -> str:
    given = [(b"host", host.encode()), *((k.replace("_", "-").encode(), v.encode()) for k, v in headers.items())]
    return refusal(method, given)


@pytest.mark.parametrize("host", ["localhost:8090", "127.0.0.1", "[::1]:9999", "LOCALHOST:1"])
def test_loopbacks_own_names_are_let_in(host: str) -> None:
    assert asked(host=host) == ""


@pytest.mark.parametrize(
    "host",
    ["evil.example:8090", "127.0.0.1.evil.example", "localhost.evil.example", "127.0.0.1@evil.example", "", "[::"],
)
def test_a_name_that_another_site_may_have_is_refused(host: str) -> None:
    assert "open it as localhost" in asked(host=host)


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_page_of_another_site_can_read_nothing(site: str) -> None:
    assert asked(sec_fetch_site=site, sec_fetch_mode="no-cors") != ""
    assert asked(sec_fetch_site=site, sec_fetch_mode="navigate") == ""


@pytest.mark.parametrize(
    "origin", ["", "null", "http://evil.example", "http://127.0.0.1:8091", f"http://{HERE}.evil.example"]
)
def test_an_order_from_elsewhere_is_refused(origin: str) -> None:
    assert asked("POST", origin=origin) != ""
    assert asked("POST", origin=origin, sec_fetch_site="cross-site", sec_fetch_mode="navigate") != ""


def test_an_order_from_the_page_is_taken() -> None:
    assert asked("POST", origin=f"http://{HERE}") == ""
    assert asked("POST", origin=f"http://{HERE}", sec_fetch_site="same-origin") == ""
    assert asked("POST", origin=f"http://{HERE}", sec_fetch_site="cross-site") != ""
