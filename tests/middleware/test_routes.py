"""The table of routes: nothing exists that is not in it, and no administrative route opens by itself."""

from __future__ import annotations

import pytest

from middleware.access import GUARDED
from middleware.admin import ADMIN, opened
from middleware.route import Access
from middleware.router import Router
from middleware.routes import ROUTES, routes
from middleware.settings import Settings, SettingsError
from tests.middleware.endpoints.policies import Switched
from tests.middleware.serving import Served

ROUTER = Router(ROUTES)
# Without a switch: vLLM has routes of these names, and answers them itself.
OF_VLLM = {"/scale_elastic_ep", "/is_scaling_elastic_ep"}
# Of vLLM 0.33.0. Not: /cohere/v2/chat, /fault_tolerance and /v1/realtime, whose switches stop the start.
VLLM_ROUTES = [
    "/load",
    "/version",
    "/kv_event_sources",
    "/health",
    "/metrics",
    "/ping",
    "/invocations",
    "/tokenize",
    "/detokenize",
    "/tokenizer_info",
    "/v1/models",
    "/v1/load_lora_adapter",
    "/v1/unload_lora_adapter",
    "/adapters",
    "/adapters/{adapter_name:path}",
    "/docs",
    "/redoc",
    "/openapi.json",
    "/v1/systemone",
    "/v1/decisions",
    "/generative_scoring",
    "/scale_elastic_ep",
    "/is_scaling_elastic_ep",
    "/start_profile",
    "/stop_profile",
    "/reset_prefix_cache",
    "/reset_mm_cache",
    "/reset_encoder_cache",
    "/collective_rpc",
    "/server_info",
    "/sleep",
    "/wake_up",
    "/is_sleeping",
    "/release_kv_cache_memory",
    "/pause",
    "/resume",
    "/abort_requests",
    "/is_paused",
    "/init_weight_transfer_engine",
    "/shutdown_weight_transfer_engine",
    "/start_weight_update",
    "/start_draft_weight_update",
    "/update_weights",
    "/finish_weight_update",
    "/update_weight_version",
    "/weight_info",
    "/weight_checker",
    "/get_world_size",
    "/v1/chat/completions",
    "/v1/chat/completions/batch",
    "/v1/completions",
    "/v1/responses",
    "/v1/responses/{id}",
    "/v1/responses/{id}/cancel",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/v1/chat/completions/render",
    "/v1/messages/render",
    "/v1/completions/render",
    "/v1/responses/render",
    "/v1/chat/completions/derender",
    "/v1/completions/derender",
    "/inference/v1/generate",
    "/inference/v1/abort_requests",
    "/v1/embeddings",
    "/v2/embed",
    "/pooling",
    "/classify",
    "/score",
    "/v1/score",
    "/rerank",
    "/v1/rerank",
    "/v2/rerank",
    "/v1/audio/transcriptions",
    "/v1/audio/translations",
]


def test_each_path_is_named_once() -> None:
    here = Settings(upstream_host="h", upstream_port=1)
    for paths in ([route.path for route in routes(here)], [admin.path for admin in ADMIN]):
        assert len(paths) == len(set(paths))


def test_the_table_says_of_a_guarded_path_that_it_needs_a_key() -> None:
    for route in ROUTES:
        if route.path.startswith(GUARDED):
            assert route.access is Access.KEY, route.path


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/v1/models", "/v1/models"),
        ("/v1/models/m", None),
        ("/v1/responses/two\nlines", "/v1/responses/{id}"),
        ("/adapters/a", "/adapters/{adapter_name:path}"),
        ("/adapters/a/b", "/adapters/{adapter_name:path}"),
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


@pytest.mark.parametrize("path", [admin.path for admin in ADMIN if admin.path not in OF_VLLM])
def test_administrative_routes_are_not_there(front: Served, path: str) -> None:
    for method in ("GET", "POST"):
        answer = front.client.request(method, path)
        assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})


def test_the_operator_opens_some() -> None:
    settings = Settings(upstream_host="h", upstream_port=1, expose_routes=("/flush_cache", "/abort_request"))
    usual = {route.path for route in routes(Settings(upstream_host="h", upstream_port=1))}
    added = [route for route in routes(settings) if route.path not in usual]
    assert [route.path for route in added] == ["/flush_cache", "/abort_request"]
    assert {route.access for route in added} == {Access.KEY}


def test_what_the_operator_opens_is_sglangs_own_even_where_vllm_has_the_name() -> None:
    opened_by_name = ("/start_profile", "/scale_elastic_ep")
    settings = Settings(
        upstream_host="h", upstream_port=1, expose_routes=opened_by_name, policy=Switched(profiler=True)
    )
    by_path = {route.path: route for route in routes(settings)}
    assert {by_path[path].ours for path in opened_by_name} == {None}
    assert len(by_path) == len(routes(settings))


def test_every_route_of_vllms_is_in_the_table() -> None:
    """Those of its openapi.json, and those that it registers for other models and switches."""
    missing = set(VLLM_ROUTES) - {route.path for route in ROUTES}
    assert missing == set()


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
    assert front.get("/v1/models%2F/").headers["location"].endswith("/v1/models")
    assert front.get("/nope/").status_code == 404


@pytest.mark.parametrize(
    ("said", "scheme"), [("https", "https"), ("http", "http"), ("https://evil.example/?", "http"), ("", "http")]
)
def test_a_redirect_keeps_the_scheme_that_a_proxy_in_front_has_seen(front: Served, said: str, scheme: str) -> None:
    answer = front.post("/generate/", headers={"host": "h", "x-forwarded-proto": said})
    assert answer.headers["location"] == f"{scheme}://h/generate"
