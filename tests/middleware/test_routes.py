"""The table of routes: nothing exists that is not in it, and no administrative route opens by itself."""

from __future__ import annotations

import pytest

from middleware.access import GUARDED
from middleware.admin import ADMIN, opened
from middleware.router import Router
from middleware.routes import ROUTES, Access, routes
from middleware.settings import Settings, SettingsError
from tests.middleware.serving import Served

ROUTER = Router(ROUTES)


def test_each_path_is_named_once() -> None:
    paths = [route.path for route in ROUTES] + [admin.path for admin in ADMIN]
    assert len(paths) == len(set(paths))


def test_the_table_says_of_a_guarded_path_that_it_needs_a_key() -> None:
    for route in ROUTES:
        if route.path.startswith(GUARDED):
            assert route.access is Access.KEY, route.path


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/v1/models", "/v1/models"),
        ("/v1/models/m", "/v1/models/{name:path}"),
        ("/v1/models/org/name", "/v1/models/{name:path}"),
        ("/v1/models/two\nlines", "/v1/models/{name:path}"),
        ("/v1/models/", None),
        ("/v1/responses/resp_1", "/v1/responses/{id}"),
        ("/v1/responses/resp_1/cancel", "/v1/responses/{id}/cancel"),
        ("/v1/responses/a/b", None),
        ("/v1/responses/a/b/cancel", None),
        ("/V1/MODELS", None),
        ("", None),
        ("/", None),
    ],
)
def test_how_a_path_is_found(path: str, found: str | None) -> None:
    route = ROUTER.find(path)
    assert (route.path if route else None) == found


@pytest.mark.parametrize("path", [admin.path for admin in ADMIN])
def test_administrative_routes_are_not_there(front: Served, path: str) -> None:
    for method in ("GET", "POST"):
        answer = front.client.request(method, path)
        assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})


def test_the_operator_opens_some() -> None:
    settings = Settings(upstream_host="h", upstream_port=1, expose_routes=("/flush_cache", "/abort_request"))
    added = routes(settings)[len(ROUTES) :]
    assert [route.path for route in added] == ["/flush_cache", "/abort_request"]
    assert {route.access for route in added} == {Access.KEY}


@pytest.mark.parametrize("path", [admin.path for admin in ADMIN if admin.closed])
def test_what_loads_tensors_from_a_request_never_opens(path: str) -> None:
    with pytest.raises(SettingsError, match="never opens"):
        opened([path])


def test_a_route_that_is_none_cannot_be_opened() -> None:
    with pytest.raises(SettingsError, match="/nope, which is not an administrative route"):
        opened(["/nope"])


def test_routes_that_load_tensors_are_closed_for_good() -> None:
    closed = {admin.path for admin in ADMIN if admin.closed}
    assert closed == {"/update_weights_from_tensor", "/update_weights_from_ipc", "/load_lora_adapter_from_tensors"}


def test_one_slash_too_many_is_a_redirect_as_in_vllm(front: Served) -> None:
    answer = front.post("/v1/chat/completions/?a=%20b", headers={"host": "example.com:8000"})
    assert answer.status_code == 307
    assert answer.headers["location"] == "http://example.com:8000/v1/chat/completions?a=%20b"
    assert front.get("/nope/").status_code == 404


@pytest.mark.parametrize(
    ("said", "scheme"), [("https", "https"), ("http", "http"), ("https://evil.example/?", "http"), ("", "http")]
)
def test_a_redirect_keeps_the_scheme_that_a_proxy_in_front_has_seen(front: Served, said: str, scheme: str) -> None:
    answer = front.post("/generate/", headers={"host": "h", "x-forwarded-proto": said})
    assert answer.headers["location"] == f"{scheme}://h/generate"
