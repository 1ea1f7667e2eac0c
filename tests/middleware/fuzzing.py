"""Requests that nobody would write: what real clients sent, torn and bent; and what an answer must be in any case.
Used by the fuzz tests here and in `tests/soak`; hypothesis draws the cases, and finds the smallest that fails.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import http.client
import json
import logging
import re
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from middleware.routes import ROUTES
from tests.differential.wire import decoded, judged
from tests.fakes.conversation import Conversation, Request
from tests.fakes.engine import GENERATION, Engine
from tests.fakes.recorded import Recorded
from tests.fakes.trouble import Trouble
from tests.middleware.deadly import why_deadly
from tests.middleware.serving import PATIENCE

NAME = "smollm2-135m"
GROUPS = ("plain33", "main33", "pooling")
SEEDS_A_PATH = 60
MOST_TOKENS = 8
JSON = ("content-type", "application/json")


@dataclass(frozen=True, slots=True)
class Case:
    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)

    def __repr__(self) -> str:
        return f"{self.method} {self.target} {dict(self.headers)} {self.body[:600]!r}"

    def wire(self) -> bytes:
        lines = [f"{self.method} {self.target} HTTP/1.1", "host: a", "connection: close"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        lines.append(f"content-length: {len(self.body)}")
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + self.body


# --- What is sent.

_NEST = 400
ODD: Sequence[Any] = (
    None, True, False, 0, 1, -1, 2, 5.0, 0.5, -0.0, 1e308, float("nan"), float("inf"), 2**31, 2**63, 2**64,
    -(2**63) - 1, 10**400, "", " ", "5", "1.5", "true", "null", "a", "\0", "\ud800", "\U0001f600", "é\u2028\r\n",
    "x" * 5000, NAME,
    "file:///etc/passwd", "/etc/passwd", "data:image/png;base64,AAAA", "data:,", "http://127.0.0.1/", "[", "{}",
    "required", "auto", "none", "json_schema", "[0-9]{3}(", "(a*)*b", [], {}, [None], [[]], [{}], [1, "a", None],
    [[1], ["a"]],
    [2**70], [-1], [0] * 300, [True], ["a"], [2**31], [{}, {}],
    {"": None}, {"type": None}, {"type": "function"}, {"type": "text", "text": None},
    {"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}, {"$ref": "#"}, {"json": {}}, {"regex": ""},
)  # fmt: skip
FIELDS = sorted({one.name for route in ROUTES if route.body is not None for one in route.body.fields})
METHODS = ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "FOO", "post")
# A trainer's or an operator's, after which others are rightly refused; weights are not where the stand-in says.
ORDERS = {"/pause", "/sleep", "/release_kv_cache_memory", "/reload_weights", "/collective_rpc", "/update_weights"}
PATHS = sorted({route.path for route in ROUTES} - ORDERS)
ADDED_PATHS = (
    "/", "//", "/v1", "/v1/", "/v1/models/x", "/.%2e/health", "/%00", "/v1/chat/completions/", "//v1/chat/completions",
    "/V1/models", "/flush_cache", "/update_weights_from_disk", "/configure_logging", "/_exit", "/é",
    "/v1/responses/%ff",
)  # fmt: skip
HEADERS: Sequence[tuple[str, str]] = (
    JSON, JSON, JSON, ("content-type", "application/json; charset=utf-16"), ("content-type", ""),
    ("content-type", "text/plain"),
    ("content-type", "multipart/form-data; boundary=x"), ("content-type", "multipart/form-data"),
    ("content-type", "application/x-www-form-urlencoded"), ("content-encoding", "gzip"),
    ("accept", "text/event-stream"),
    ("accept-encoding", "gzip"), ("x-request-id", ""), ("x-request-id", "\xff\xfe"), ("x-request-id", "a" * 500),
    ("x-request-id", "a b\tc"), ("authorization", "Bearer"), ("authorization", "Basic \xff"), ("origin", "http://a"),
    ("access-control-request-method", "FOO"), ("x-session-id", "é"), ("te", "trailers"), ("cookie", "a=b"),
    ("x-data-parallel-rank", "-1"), ("range", "bytes=0-1"), ("if-none-match", "*"), ("x-forwarded-for", "1.2.3.4"),
)  # fmt: skip


_SAMPLED = {"max_new_tokens": 5, "top_k": 7, "temperature": 0.5, "min_new_tokens": 1, "stop_token_ids": [5]}
_TOLD = {"return_logprob": [True, False], "top_logprobs_num": [1, 0], "logprob_start_len": [0, 0], "rid": ["a", "b"]}
# SGLang's own routes, which no vLLM was asked.
OWN: dict[str, list[Any]] = {
    "/generate": [
        {"text": "hi", "sampling_params": _SAMPLED, "rid": "a", "return_logprob": True, "top_logprobs_num": 2},
        {"text": ["hi", "ho"], "sampling_params": [_SAMPLED, {}], **_TOLD, "token_ids_logprob": [[1], [2]]},
        {"input_ids": [[1, 2], [3]], **_TOLD, "lora_path": [None, None], "extra_key": ["a", "b"]},
        {"input_ids": [1, 2], "stream": True, "custom_labels": {"a": "b"}, "priority": 1, "lora_path": "noisy"},
        {"text": "", "sampling_params": {}},
    ],
    "/encode": [
        {"text": "hi", "rid": "a"},
        {"text": ["hi", "ho"], "rid": ["a", "b"], "lora_path": [None, None]},
        {"text": [["hi", "ho"]], "is_cross_encoder_request": True},
        {"input_ids": [[1], [2]]},
        {"text": ""},
    ],
    "/vertex_generate": [
        {"instances": [{"text": "hi"}, {"text": "ho"}], "parameters": {"sampling_params": _SAMPLED, **_TOLD}},
        {"instances": [{"input_ids": [1]}], "parameters": {"stream": True, "rid": "a"}},
        {"instances": [{"text": ""}]},
    ],
    "/api/chat": [{"model": NAME, "messages": [{"role": "user", "content": "hi"}], "options": {"top_k": 5}}],
    "/api/generate": [{"model": NAME, "prompt": "hi", "system": "a", "options": {"num_predict": 5}}],
    "/parse_function_call": [{"text": "hi", "tools": [], "tool_call_parser": "hermes"}],
    "/separate_reasoning": [{"text": "hi", "reasoning_parser": "qwen3"}],
    "/generative_scoring": [
        {"model": NAME, "query": "hi", "items": ["a", "b"], "label_token_ids": [1, 2]},
        {"query": "", "items": [""], "label_token_ids": [1]},
        {"query": [1], "items": [[2], [3]], "label_token_ids": [1]},
    ],
}


def _seeds() -> dict[str, list[Any]]:
    """The documents that a real vLLM was sent, by path."""
    found: dict[str, list[Any]] = {path: list(OWN.get(path, ())) for path in PATHS}
    for group in GROUPS:
        for entry in judged(group).values():
            document = decoded(entry.request.body)
            path = entry.request.target.partition("?")[0]
            if isinstance(document, dict) and path in found and len(json.dumps(document)) < 4000:
                found[path].append(document)
    return {
        path: documents[:: max(1, len(documents) // SEEDS_A_PATH)] for path, documents in found.items() if documents
    }


SEEDS = _seeds()
EVERY_SEED = [document for documents in SEEDS.values() for document in documents if document]
# Most of all is for the routes with the most to get wrong.
BUSY = ("/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages", "/generate", "/vertex_generate")


@st.composite
def documents(draw: st.DrawFn, path: str) -> Any:
    """What was sent there, or elsewhere, with one to three things wrong, or taken from a third place."""
    known = SEEDS.get(path) or SEEDS["/v1/chat/completions"]
    document = copy.deepcopy(draw(st.sampled_from(known)))
    for _ in range(draw(st.integers(1, 3))):
        document = _bent(draw, document)
    return document


def _bent(draw: st.DrawFn, document: Any) -> Any:
    what = draw(st.sampled_from((*("replace", "cross") * 4, "add", "add", "delete", "wrap", "deep", "root")))
    odd = copy.deepcopy(draw(st.sampled_from(ODD)))  # what is put in may be bent next
    if what == "root":
        return odd if draw(st.integers(0, 9)) == 0 else document
    if what == "cross" and isinstance(document, dict):
        other = draw(st.sampled_from(EVERY_SEED))
        key = draw(st.sampled_from(sorted(other)))
        return {**document, key: copy.deepcopy(other[key])}
    if what == "add" or not isinstance(document, dict | list) or not document:
        return {**document, draw(st.sampled_from(FIELDS)): odd} if isinstance(document, dict) else odd
    holder, key = _place(draw, document)
    if what == "delete":
        del holder[key]
    elif what == "wrap":
        holder[key] = draw(st.sampled_from(([holder[key]], {"a": holder[key]}, [holder[key], holder[key]])))
    elif what == "deep":
        for _ in range(draw(st.sampled_from((3, 40, _NEST)))):
            odd = [odd]
        holder[key] = odd
    else:
        holder[key] = odd
    return document


def _place(draw: st.DrawFn, document: Any) -> tuple[Any, Any]:
    """Somewhere in it."""
    holder = document
    while True:
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        key = draw(st.sampled_from(keys))
        inner = holder[key]
        if not isinstance(inner, dict | list) or not inner or draw(st.booleans()):
            return holder, key
        holder = inner


@st.composite
def bodies(draw: st.DrawFn, path: str) -> bytes:
    document = draw(documents(path))
    escaped = draw(st.booleans())
    body = json.dumps(document, ensure_ascii=escaped).encode("utf-8", "surrogatepass")
    damage = draw(
        st.sampled_from((*("none",) * 40, "cut", "insert", "twice", "bom", "garbage", "nest", "number", "utf16"))
    )
    at = draw(st.integers(0, len(body)))
    if damage == "cut":
        return body[:at]
    if damage == "insert":
        return body[:at] + draw(st.binary(min_size=1, max_size=4)) + body[at:]
    if damage == "garbage":
        return draw(st.binary(max_size=60))
    others = {
        "twice": body + body,
        "bom": b"\xef\xbb\xbf" + body,
        "nest": b'{"messages":' + b"[" * 20000,
        "number": b'{"n":' + b"9" * 6000 + b"}",
        "utf16": body.decode("utf-8", "replace").encode("utf-16"),
    }
    return others.get(damage, body)


@st.composite
def cases(draw: st.DrawFn, paths: Sequence[str] = tuple(PATHS)) -> Case:
    """Mostly a POST of JSON to a path that there is."""
    wild = draw(st.integers(0, 9))
    busy = tuple(path for path in paths if path in (BUSY if BUSY[0] in paths else SEEDS))
    path = draw(st.sampled_from(busy if wild % 4 else tuple(paths)))
    method = "POST"
    headers: tuple[tuple[str, str], ...] = (JSON,)
    if wild == 0:
        method = draw(st.sampled_from(METHODS))
        path = draw(st.sampled_from((*paths, *ADDED_PATHS)))
    if wild <= 2:
        headers = tuple(dict(draw(st.lists(st.sampled_from(HEADERS), max_size=4))).items())
    body = draw(bodies(path))
    target = re.sub(r"\{\w+\}", "x", path) + draw(st.sampled_from(("", "", "", "", "?", "?a=b&tags=%ff", "?level=é")))
    return Case(method, target.encode().decode("latin-1"), headers, body)


# --- What comes back.

# uvicorn's own, in vLLM as well; and haproxy's, before any of us is asked.
NO_HTTP = (
    b"Invalid HTTP request received.",
    b"<html><body><h1>400 Bad request</h1>\nYour browser sent an invalid request.\n</body></html>\n",
)
_TRACE = re.compile(rb'Traceback|File "/|site-packages')


def answered(port: int, case: Case) -> tuple[int, http.client.HTTPMessage, bytes]:
    """The whole answer; a hang is a timeout."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as sock:
        with contextlib.suppress(ConnectionError):
            sock.sendall(case.wire())
        answer = http.client.HTTPResponse(sock, method=case.method)
        answer.begin()
        return answer.status, answer.headers, answer.read()


def objection(case: Case, status: int, headers: http.client.HTTPMessage, body: bytes) -> str:
    """What is wrong with an answer, in any case; empty for nothing."""
    if status >= 500 and status != 501:
        return f"status {status}: {body[:400]!r}"
    if _TRACE.search(body):
        return f"shows the server's inside: {body[:400]!r}"
    if case.method == "HEAD" or status < 400:
        return ""
    if body in NO_HTTP:
        return ""
    if (headers.get("content-type") or "").partition(";")[0] != "application/json":
        return f"an error that is no JSON: {headers.get('content-type')} {body[:400]!r}"
    try:
        document = json.loads(body)
    except ValueError:
        return f"an error that is no JSON: {body[:400]!r}"
    return "" if _shaped(status, document) else f"an error in no shape of vLLM's: {status} {body[:400]!r}"


def _shaped(status: int, document: Any) -> bool:
    if not isinstance(document, dict):
        return False
    inner = document.get("error")
    if isinstance(inner, dict):
        if document.get("type") == "error":
            return set(document) == {"type", "error"} and set(inner) == {"type", "message"}
        return set(inner) == {"message", "type", "param", "code"} and inner["code"] == status
    # FastAPI's own; and what is no vLLM's route answers as SGLang does.
    return set(document) == {"detail"} or document == {"error": "Unauthorized"} or document.get("object") == "error"


class Complaints(logging.Handler):
    """Every ERROR that anything here logs, but for what a trainer is told aloud."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name != "middleware.weights":
            self.found.append(self.format(record))

    @contextlib.contextmanager
    def listening(self) -> Iterator[Complaints]:
        logging.getLogger().addHandler(self)
        try:
            yield self
        finally:
            logging.getLogger().removeHandler(self)


# --- Who is behind the middleware: the stand-in, in a thread, with an answer for the small routes too.


SMALL: dict[str, Any] = {
    "/load_lora_adapter": {"success": True, "loaded_adapters": {}, "error_message": ""},
    "/unload_lora_adapter": {"success": True, "loaded_adapters": {}, "error_message": ""},
    "/server_info": {"tp_size": 1, "pp_size": 1, "dp_size": 1},
    "/start_profile": {"success": True},
    "/stop_profile": {"success": True},
    "/flush_cache": {"success": True},
}


def _object(request: Request) -> dict[str, Any] | None:
    try:
        document = request.json()
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


class Obliging(Engine):
    """It generates little, whatever is asked for, and refuses nothing that it can read but what would end SGLang."""

    info: dict[str, Any]

    async def answer(self, request: Request, to: Conversation) -> None:
        why = why_deadly(request.path, _object(request) or {})
        if why:
            to.answer(500, json.dumps({"error": {"message": f"this ends SGLang: {why[:200]}"}}).encode())
        else:
            await super().answer(request, to)

    def control(self, request: Request, to: Conversation) -> None:
        answer = self.small(request)
        if answer is None:
            super().control(request, to)
        else:
            to.answer(200, json.dumps(answer).encode())

    def small(self, request: Request) -> Any:
        asked = _object(request) or {}
        if request.path in SMALL:
            return SMALL[request.path]
        if request.path == "/model_info":
            return self.info
        if request.path in ("/tokenize", "/v1/tokenize"):
            prompt = asked.get("prompt")
            rows = [[1, 2, 3] if text != "" else [] for text in (prompt if isinstance(prompt, list) else [prompt])]
            tokens: Any = rows if isinstance(prompt, list) and prompt else rows[0] if rows else [1, 2, 3]
            return {"tokens": tokens, "count": 3, "max_model_len": 2048}
        if request.path in ("/detokenize", "/v1/detokenize"):
            return {"text": "a"}
        if request.path == "/v1/embeddings":
            given = asked.get("input")
            many = len(given) if isinstance(given, list) else 1
            vector: Any = "AAAAPwAAAD8=" if asked.get("encoding_format") == "base64" else [0.5, 0.5]
            data = [{"object": "embedding", "index": at, "embedding": vector} for at in range(many)]
            return {"object": "list", "model": NAME, "data": data, "usage": {"prompt_tokens": 3, "total_tokens": 3}}
        if request.path == "/v1/classify":
            given = asked.get("input")
            many = len(given) if isinstance(given, list) else 1
            data = [{"index": at, "label": "A", "probs": [0.25, 0.75], "num_classes": 2} for at in range(many)]
            return {"data": data, "usage": {"prompt_tokens": 3, "total_tokens": 3}}
        if request.path == "/v1/rerank":
            given = asked.get("documents")
            many = len(given) if isinstance(given, list) else 1
            return [
                {"score": 0.5, "document": "a", "index": at, "meta_info": {"prompt_tokens": 3}} for at in range(many)
            ]
        if request.path == "/v1/score":
            given = asked.get("items")
            many = len(given) if isinstance(given, list) else 1
            return {"scores": [[0.25, 0.75]] * many, "usage": {"prompt_tokens": 3, "total_tokens": 3}}
        return None

    async def generate(self, request: Request, to: Conversation, kind: str, trouble: Trouble) -> None:
        body = _object(request)
        if body is None:
            to.answer(400, b'{"object":"error","message":"no JSON object, says the stand-in"}')
            return
        if body.get("stream") is not True:
            to.answer(200, self.recorded.whole(kind, body, MOST_TOKENS))
            return
        to.begin_stream()
        options = body.get("stream_options")
        known = {**body, "stream_options": options if isinstance(options, dict) else {}}
        for line, _ in self.recorded.stream(kind, known, MOST_TOKENS):
            await to.chunk(line)
        to.end_stream()


@contextlib.contextmanager
def obliging(info: dict[str, Any]) -> Iterator[int]:
    """Its port."""
    engine = Obliging([], Recorded(NAME), 0.0, time.monotonic(), quiet=True)
    engine.info = info
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(loop.create_server(engine.conversation, "127.0.0.1", 0, backlog=256))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE)
        loop.close()


assert set(BUSY) - set(OWN) - {"/v1/messages"} <= set(GENERATION)  # which goes on as a chat
