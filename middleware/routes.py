"""THE table of paths: which methods, what answers, who may call, and when. A path that is not in it does not exist.
Walked by `middleware.router` for every request and by `middleware.app` once, to build the endpoints of our own.
"""

from dataclasses import replace

from middleware.admin import opened
from middleware.calls import QUICK_SECONDS
from middleware.context import Endpoint
from middleware.endpoints.abort import abort_inference, abort_requests
from middleware.endpoints.adapters import load_adapter, register_adapter, unload_adapter, unregister_adapter
from middleware.endpoints.adapters_in_place import load_adapter_in_place
from middleware.endpoints.batch import chat_batch
from middleware.endpoints.cache import reset_mm_cache, reset_prefix_cache
from middleware.endpoints.classify import classify
from middleware.endpoints.documents import docs, openapi, redoc
from middleware.endpoints.embeddings import cohere_embed, embeddings, pooled
from middleware.endpoints.generative_scoring import generative_scoring
from middleware.endpoints.health import health, ready
from middleware.endpoints.invocations import invocations
from middleware.endpoints.load import load
from middleware.endpoints.messages import count_tokens, messages
from middleware.endpoints.metrics import metrics
from middleware.endpoints.models import models
from middleware.endpoints.pause import is_paused, pause, resume
from middleware.endpoints.profile import start_profile, stop_profile
from middleware.endpoints.refusals import not_served, rendered_apart, scale_out
from middleware.endpoints.responses import create_response, no_response
from middleware.endpoints.rpc import collective_rpc, liveness
from middleware.endpoints.score import rerank, score
from middleware.endpoints.server_info import get_world_size, server_info, sglang_server_info
from middleware.endpoints.sleep import is_sleeping, release_kv_cache_memory, sleep, wake_up
from middleware.endpoints.state import is_scaling, kv_event_sources
from middleware.endpoints.tokenize import detokenize, tokenize, tokenizer_info
from middleware.endpoints.transfer import init_broadcaster, shutdown_weight_transfer_engine, weight_transfer
from middleware.endpoints.version import version
from middleware.endpoints.weights import (
    reload_weights,
    update_weight_version,
    update_weights,
    weight_checker,
    weight_info,
)
from middleware.fields.chat import CHAT, CHAT_TOKENS
from middleware.fields.completions import COMPLETIONS
from middleware.fields.native import ENCODE, NATIVE
from middleware.fields.ollama import OLLAMA
from middleware.fields.others import DECISIONS, DETOKENIZE, TOKENIZE
from middleware.fields.parsing import CALLS_PARSED, REASONING_PARSED
from middleware.fields.responses import STORED
from middleware.fields.tokens_in import TOKENS_IN
from middleware.fields.told import Kind
from middleware.fields.vertex import VERTEX
from middleware.route import (
    DELETE,
    DEV,
    DOCUMENTS,
    GET,
    KEY,
    NO_SCALE_OUT,
    NO_STORE,
    OPEN,
    POST,
    PROFILER,
    RL,
    RUNTIME_LORA,
    SCALE_OUT,
    STORE,
    TOKENIZER_INFO,
    TRAINER,
    Route,
)
from middleware.settings import Settings
from middleware.tasks import Task

# What a stored response is asked for with.
OF_A_RESPONSE = frozenset({"stream", "starting_after", "include", "include[]"})
GENERATE, TRANSCRIBE = Task.GENERATE, Task.TRANSCRIBE
POOL, EMBED, CLASSIFY, SCORE = Task.POOL, Task.EMBED, Task.CLASSIFY, Task.SCORE

# Who may call: vLLM guards /v1, /v2, /inference and /cohere and leaves the rest open, /tokenize and /metrics among it.
# SGLang's own generation routes are not vLLM's to leave open.
ROUTES: tuple[Route, ...] = (
    # Of the server.
    Route("/health", GET, OPEN, ours=health),
    Route("/ping", ("GET", "POST"), OPEN, ours=health),
    Route("/ready", GET, OPEN, ours=ready),  # not vLLM's: SGLang's, and Kubernetes' word for it
    Route("/version", GET, OPEN, ours=version),
    Route("/load", GET, OPEN, ours=load),
    Route("/metrics", ("GET", "HEAD", "POST"), OPEN, ours=metrics),
    Route("/metrics/", ("GET", "HEAD", "POST"), OPEN, ours=metrics),
    Route("/v1/models", GET, KEY, ours=models),
    Route("/kv_event_sources", GET, OPEN, ours=kv_event_sources),
    Route("/openapi.json", ("GET", "HEAD"), OPEN, ours=openapi, when=DOCUMENTS),
    Route("/docs", ("GET", "HEAD"), OPEN, ours=docs, when=DOCUMENTS),
    Route("/redoc", ("GET", "HEAD"), OPEN, ours=redoc, when=DOCUMENTS),
    # Text from text. Fields are decided one by one.
    Route("/v1/chat/completions", POST, KEY, body=CHAT, tracked=True, task=GENERATE),
    Route("/v1/chat/completions/tokens", POST, KEY, body=CHAT_TOKENS, tracked=True, task=GENERATE, when=RL),
    Route("/v1/chat/completions/batch", POST, KEY, ours=chat_batch, tracked=True, task=GENERATE),
    Route("/v1/completions", POST, KEY, body=COMPLETIONS, tracked=True, task=GENERATE),
    Route("/v1/responses", POST, KEY, body=STORED, tracked=True, task=GENERATE, when=STORE),
    Route("/v1/responses", POST, KEY, ours=create_response, tracked=True, task=GENERATE, when=NO_STORE),
    Route("/v1/responses/{id}", GET, KEY, tracked=True, task=GENERATE, when=STORE, query=OF_A_RESPONSE),
    Route("/v1/responses/{id}", GET, KEY, ours=no_response, tracked=True, task=GENERATE, when=NO_STORE),
    Route("/v1/responses/{id}/cancel", POST, KEY, tracked=True, task=GENERATE, when=STORE),
    Route("/v1/responses/{id}/cancel", POST, KEY, ours=no_response, tracked=True, task=GENERATE, when=NO_STORE),
    Route("/v1/messages", POST, KEY, ours=messages, tracked=True, task=GENERATE),
    Route("/v1/messages/count_tokens", POST, KEY, ours=count_tokens, tracked=True, task=GENERATE),
    Route("/generative_scoring", POST, OPEN, ours=generative_scoring, task=GENERATE),
    Route("/v1/decisions", POST, KEY, body=DECISIONS, tracked=True, task=GENERATE),
    Route("/v1/systemone", POST, KEY, body=DECISIONS, tracked=True, task=GENERATE),
    Route("/invocations", POST, OPEN, ours=invocations, tracked=True),
    # The tokenizer.
    Route("/tokenize", POST, OPEN, ours=tokenize),
    Route("/detokenize", POST, OPEN, ours=detokenize),
    Route("/tokenizer_info", GET, OPEN, ours=tokenizer_info, when=TOKENIZER_INFO),
    # Numbers from text.
    Route("/v1/embeddings", POST, KEY, ours=embeddings, tracked=True, task=EMBED),
    Route("/v2/embed", POST, KEY, ours=cohere_embed, tracked=True, task=EMBED),
    Route("/pooling", POST, OPEN, ours=pooled, tracked=True, task=EMBED),
    Route("/classify", POST, OPEN, ours=classify, tracked=True, task=CLASSIFY),
    Route("/score", POST, OPEN, ours=score, tracked=True, task=SCORE),
    Route("/v1/score", POST, KEY, ours=score, tracked=True, task=SCORE),
    Route("/rerank", POST, OPEN, ours=rerank, tracked=True, task=SCORE),
    Route("/v1/rerank", POST, KEY, ours=rerank, tracked=True, task=SCORE),
    Route("/v2/rerank", POST, KEY, ours=rerank, tracked=True, task=SCORE),
    # Text from sound: a form, forwarded as it is.
    Route("/v1/audio/transcriptions", POST, KEY, tracked=True, task=TRANSCRIBE),
    Route("/v1/audio/translations", POST, KEY, ours=not_served, tracked=True, task=TRANSCRIBE),
    # Adapters.
    Route("/v1/load_lora_adapter", POST, KEY, ours=load_adapter, when=RUNTIME_LORA),
    Route("/v1/unload_lora_adapter", POST, KEY, ours=unload_adapter, when=RUNTIME_LORA),
    Route("/adapters", POST, OPEN, ours=register_adapter, when=RUNTIME_LORA),
    Route("/adapters/{adapter_name:path}", DELETE, OPEN, ours=unregister_adapter, when=RUNTIME_LORA),
    # The profiler.
    Route("/start_profile", POST, OPEN, ours=start_profile, when=PROFILER),
    Route("/stop_profile", POST, OPEN, ours=stop_profile, when=PROFILER),
    # More ranks, or fewer: SGLang's are those of its start.
    Route("/scale_elastic_ep", POST, OPEN, ours=not_served, task=GENERATE),
    Route("/is_scaling_elastic_ep", POST, OPEN, ours=is_scaling, task=GENERATE),
    # Rendering and generating apart: as vLLM without --enable-scale-out, or the half that has token ids.
    Route("/v1/chat/completions/render", POST, KEY, ours=rendered_apart, task=GENERATE),
    Route("/v1/completions/render", POST, KEY, ours=rendered_apart, task=GENERATE),
    Route("/v1/messages/render", POST, KEY, ours=rendered_apart, task=GENERATE),
    Route("/v1/responses/render", POST, KEY, ours=rendered_apart, task=GENERATE),
    Route("/v1/chat/completions/derender", POST, KEY, ours=rendered_apart, task=GENERATE),
    Route("/v1/completions/derender", POST, KEY, ours=rendered_apart, task=GENERATE),
    Route("/inference/v1/generate", POST, KEY, ours=scale_out, task=GENERATE, when=NO_SCALE_OUT),
    Route("/inference/v1/abort_requests", POST, KEY, ours=scale_out, task=GENERATE, when=NO_SCALE_OUT),
    Route("/inference/v1/generate", POST, KEY, body=TOKENS_IN, tracked=True, task=GENERATE, when=SCALE_OUT),
    Route("/inference/v1/abort_requests", POST, KEY, ours=abort_inference, task=GENERATE, when=SCALE_OUT),
    # Development.
    Route("/reset_mm_cache", POST, OPEN, ours=reset_mm_cache, when=DEV),
    Route("/reset_encoder_cache", POST, OPEN, ours=not_served, when=DEV),
    Route("/is_sleeping", GET, OPEN, ours=is_sleeping, when=DEV),
    Route("/sleep", POST, OPEN, ours=sleep, when=DEV),
    Route("/wake_up", POST, OPEN, ours=wake_up, when=DEV),
    Route("/release_kv_cache_memory", POST, OPEN, ours=release_kv_cache_memory, when=DEV),
    # Training: of vLLM's development server, and what prime-rl adds to it.
    Route("/pause", POST, TRAINER, ours=pause, when=RL),
    Route("/resume", POST, TRAINER, ours=resume, when=RL),
    Route("/is_paused", GET, TRAINER, ours=is_paused, when=RL),
    Route("/abort_requests", POST, TRAINER, ours=abort_requests, when=RL),
    Route("/update_weights", POST, TRAINER, ours=update_weights, when=RL),
    Route("/update_weight_version", POST, TRAINER, ours=update_weight_version, when=RL),
    Route("/weight_info", GET, TRAINER, ours=weight_info, when=RL),
    Route("/weight_checker", POST, TRAINER, ours=weight_checker, when=RL),
    Route("/init_weight_transfer_engine", POST, TRAINER, ours=weight_transfer, when=RL),
    Route("/shutdown_weight_transfer_engine", POST, TRAINER, ours=shutdown_weight_transfer_engine, when=RL),
    Route("/start_weight_update", POST, TRAINER, ours=weight_transfer, when=RL),
    Route("/start_draft_weight_update", POST, TRAINER, ours=weight_transfer, when=RL),
    Route("/finish_weight_update", POST, TRAINER, ours=weight_transfer, when=RL),
    Route("/get_world_size", GET, TRAINER, ours=get_world_size, when=RL),
    Route("/server_info", GET, TRAINER, ours=server_info, when=RL),
    Route("/reset_prefix_cache", POST, TRAINER, ours=reset_prefix_cache, when=RL),
    Route("/collective_rpc", POST, TRAINER, ours=collective_rpc, when=RL),
    Route("/reload_weights", POST, TRAINER, ours=reload_weights, when=RL),
    Route("/init_broadcaster", POST, TRAINER, ours=init_broadcaster, when=RL),
    Route("/load_lora_adapter", POST, TRAINER, ours=load_adapter_in_place, when=RL),
    Route("/liveness", GET, TRAINER, ours=liveness, when=RL),
    # SGLang's own ways to generate.
    Route("/generate", ("POST", "PUT"), KEY, body=NATIVE, tracked=True, task=GENERATE),
    Route("/encode", ("POST", "PUT"), KEY, body=ENCODE, tracked=True, task=POOL),
    Route("/v1/classify", POST, KEY, ours=classify, tracked=True, task=CLASSIFY),
    Route("/v1/tokenize", POST, KEY, body=TOKENIZE, within=QUICK_SECONDS),
    Route("/v1/detokenize", POST, KEY, body=DETOKENIZE, within=QUICK_SECONDS),
    Route("/vertex_generate", POST, KEY, body=VERTEX, tracked=True, task=GENERATE),
    Route("/api/chat", POST, KEY, body=OLLAMA, tracked=True, task=GENERATE),
    Route("/api/generate", POST, KEY, body=OLLAMA, tracked=True, task=GENERATE),
    Route("/api/show", POST, KEY, answer=Kind.NATIVE, within=QUICK_SECONDS),
    Route("/api/tags", GET, KEY, answer=Kind.NATIVE, within=QUICK_SECONDS),
    Route("/parse_function_call", POST, KEY, body=CALLS_PARSED),
    Route("/separate_reasoning", POST, KEY, body=REASONING_PARSED),
)
# Of what the operator opens, what would show the engine's keys is told by us.
TOLD_BY_US: dict[str, Endpoint] = {"/server_info": sglang_server_info, "/get_server_info": sglang_server_info}


def routes(settings: Settings) -> tuple[Route, ...]:
    """The table for this server: without what is switched off, and with what the operator has opened instead."""
    added = tuple(
        Route(admin.path, admin.methods, KEY, ours=TOLD_BY_US.get(admin.path), answer=Kind.NATIVE, query=None)
        for admin in opened(settings.expose_routes)
    )
    taken = {route.path for route in added}
    trainer = OPEN if settings.policy.dev_mode else KEY
    there = (route for route in ROUTES if route.when is None or route.when(settings.policy))
    found = (route for route in there if route.path not in taken)
    return tuple(replace(route, access=trainer) if route.access is TRAINER else route for route in found) + added
