"""Every place in which SGLang takes a URL for a file is looked at, and what looks like one elsewhere is left alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from middleware.fields.chat import CHAT
from middleware.fields.completions import COMPLETIONS
from middleware.fields.edit import Editor
from middleware.fields.native import ENCODE, NATIVE
from middleware.fields.others import DECISIONS, TOKENIZE
from middleware.fields.responses import STORED
from middleware.fields.vertex import VERTEX
from middleware.policy import Policy
from tests.middleware.fields.editing import LEAST
from tests.middleware.fields.serving import bound
from tests.middleware.fields.test_edit import NOTHING, refused
from tests.middleware.serving import Served

FILE = "file:///etc/passwd"
BY_PATH = {
    "/v1/chat/completions": CHAT,
    "/invocations": CHAT,
    "/v1/responses": STORED,
    "/v1/completions": COMPLETIONS,
    "/tokenize": TOKENIZE,
    "/v1/tokenize": TOKENIZE,
    "/v1/decisions": DECISIONS,
    "/v1/systemone": DECISIONS,
    "/generate": NATIVE,
    "/encode": ENCODE,
    "/vertex_generate": VERTEX,
}


def editor(path: str, folder: str = "") -> Editor:
    return Editor(bound(BY_PATH[path]), NOTHING, Policy(local_media_path=folder))


def whole(path: str, body: dict[str, Any]) -> bytes:
    return json.dumps({**LEAST.get(BY_PATH[path].name, {}), **body}).encode()


def message_with(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "hi"}, {"role": "user", "content": list(parts), **more}]}


def places(url: str) -> list[tuple[str, dict[str, Any]]]:
    """The paths that open media, with bodies that name it where SGLang 0.5.23 looks for it."""
    image = {"type": "image_url", "image_url": {"url": url}}
    return [
        ("/v1/chat/completions", message_with({"type": "text", "text": "a"}, image)),
        ("/v1/chat/completions", message_with({"type": "video_url", "video_url": {"url": url}})),
        ("/v1/chat/completions", message_with({"type": "audio_url", "audio_url": {"url": url}})),
        ("/invocations", message_with(image)),
        ("/tokenize", message_with(image)),
        ("/v1/tokenize", message_with(image)),
        ("/v1/responses", {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": url}]}]}),
        ("/v1/responses", {"input": [{"type": "computer_call_output", "output": {"image_url": url}}]}),
        ("/v1/decisions", {"images": [url]}),
        ("/v1/systemone", {"images": [{"url": url}]}),
        *((path, {name: url}) for path in ("/generate", "/encode") for name in MEDIA),
        ("/generate", {"image_data": [[url], None]}),
        ("/generate", {"image_data": [{"url": url}]}),
        ("/generate", {"video_data": {"kind": "x", "audio": url}}),
        ("/vertex_generate", {"instances": [{"text": "a"}, {"text": "b", "image_data": url}]}),
        ("/vertex_generate", {"instances": [{"text": "a"}], "parameters": {"audio_data": [url]}}),
    ]


MEDIA = ("image_data", "video_data", "audio_data")


@pytest.mark.parametrize(("path", "body"), places(FILE))
def test_a_file_is_refused_wherever_it_is_named(path: str, body: dict[str, Any]) -> None:
    error = refused(editor(path), whole(path, body))
    assert error["message"] == "Cannot load local files without `--allowed-local-media-path`."


@pytest.mark.parametrize(("path", "body"), places("/etc/shadow.png"))
def test_a_path_is_refused_wherever_it_is_named(path: str, body: dict[str, Any]) -> None:
    error = refused(editor(path), whole(path, body))
    assert error["message"] == "The URL must be either a HTTP, data or file URL."


@pytest.mark.parametrize(("path", "body"), places("http://127.0.0.1:8001/flush_cache"))
def test_this_servers_own_ports_are_refused_wherever_they_are_named(path: str, body: dict[str, Any]) -> None:
    assert "this server's own" in refused(editor(path), whole(path, body))["message"]


@pytest.mark.parametrize("text", [" " * 200_000 + "!", "A" * 200_000 + "=" * 200_000 + "!", "= " * 100_000 + "\0"])
def test_what_is_nearly_base64_is_refused_before_anybody_waits(text: str) -> None:
    refused(editor("/encode"), json.dumps({"text": "a", "image_data": text}).encode())


def test_more_lists_than_anybody_needs_are_not_made_into_objects() -> None:
    body = b'{"messages":[{"x_url":1}' + b",[]" * 500_000 + b"]}"
    assert "more than 500000 lists and objects" in refused(editor("/tokenize"), body)["message"]
    long_text = json.dumps(message_with({"type": "text", "text": '"image_url" [' * 30_000})).encode()
    assert editor("/tokenize")(long_text) is long_text


@pytest.mark.parametrize("url", ["http://h/a.png", "https://h/a.png", "data:image/png;base64,AAAA"])
def test_what_lies_elsewhere_keeps_its_bytes(url: str) -> None:
    for path, body in places(url):
        sent = whole(path, body)
        assert editor(path)(sent) is sent


def test_a_file_in_the_folder_keeps_its_bytes(tmp_path: Path) -> None:
    for path, body in places(f"file://{tmp_path}/a.png"):
        sent = whole(path, body)
        assert editor(path, str(tmp_path))(sent) is sent


def test_a_part_of_responses_is_looked_at_in_a_chat_too() -> None:
    for part in ({"type": "input_image", "image_url": FILE}, {"image_url": FILE}):
        error = refused(editor("/v1/chat/completions"), json.dumps(message_with(part)).encode())
        assert error["message"] == "Cannot load local files without `--allowed-local-media-path`."


@pytest.mark.parametrize("path", ["/generate", "/encode"])
def test_media_that_are_processed_already_are_refused(path: str) -> None:
    body = {"image_data": [{"format": "processor_output", "feature": [1.5, None]}]}
    assert "must come as they are" in refused(editor(path), json.dumps(body).encode())["message"]


def test_a_name_for_the_shared_cache_goes_no_further() -> None:
    url = "https://h/a.png"
    image = {"type": "image_url", "image_url": {"url": url, "detail": "low", "content_hash": "sha256:aa", "fps": 1}}
    sent = json.loads(editor("/v1/chat/completions")(whole("/v1/chat/completions", message_with(image))))
    assert sent["messages"][1]["content"][0]["image_url"] == {"url": url, "detail": "low"}
    sent = json.loads(editor("/generate")(json.dumps({"image_data": {"url": url, "content_hash": "a"}}).encode()))
    assert sent["image_data"] == {"url": url}


def test_a_key_written_with_escapes_is_the_same_key() -> None:
    path, body = places(FILE)[0]
    sent = whole(path, body).decode().replace('"image_url"', '"image\\u005furl"').encode()
    refused(editor(path), sent)


@pytest.mark.parametrize("name", MEDIA)
@pytest.mark.parametrize("text", ["AAAA", "/9j/4AAQSkZJRg==", "proc/self/environ", "/etc/passwd", "AA\nAA"])
def test_base64_becomes_a_data_url_which_is_never_a_path(name: str, text: str) -> None:
    sent = json.loads(editor("/generate")(json.dumps({"text": "a", name: [text]}).encode()))
    assert sent["text"] == "a"
    assert sent[name][0].startswith("data:")
    assert sent[name][0].endswith(f";base64,{text}")


@pytest.mark.parametrize(
    "body",
    [
        {"image_data": None, "video_data": [], "audio_data": [None, [""]]},
        {"text": "file:///etc/passwd", "sampling_params": {"stop": "/etc/passwd"}},
    ],
)
def test_what_names_no_media_keeps_its_bytes(body: dict[str, Any]) -> None:
    sent = json.dumps(body).encode()
    assert editor("/generate")(sent) is sent


def test_an_unknown_member_of_an_object_is_no_path() -> None:
    refused(editor("/generate"), json.dumps({"image_data": {"anything": "/etc/passwd"}}).encode())


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", message_with({"type": "text", "text": f'"image_url": "{FILE}"'})),
        ("/v1/chat/completions", message_with({"type": "image_url", "image_url": {"url": ""}})),
        ("/v1/chat/completions", message_with(tool_calls=[{"function": {"arguments": {"image_url": FILE}}}])),
        (
            "/v1/chat/completions",
            {"tools": [{"function": {"name": "f", "parameters": {"properties": {"image_url": {"url": FILE}}}}}]},
        ),
        ("/v1/completions", {"prompt": FILE}),
    ],
)
def test_text_and_arguments_of_tools_are_left_alone(path: str, body: dict[str, Any]) -> None:
    sent = whole(path, body)
    assert editor(path)(sent) is sent


def test_a_deeply_nested_body_is_400() -> None:
    for depth in (900, 100_000):
        refused(editor("/generate"), b'{"image_data":' + b"[" * depth + b'"AAAA"' + b"]" * depth + b"}")


def test_it_never_reaches_the_engine(front: Served) -> None:
    for path, body in places(FILE):
        answer = front.post(path, json=body, headers={"x-standin": "echo"})
        assert answer.status_code == 400, path
        assert "headers" not in answer.json()
