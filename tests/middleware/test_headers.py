"""Which headers pass, in which order, and how a request's head is written."""

from __future__ import annotations

import pytest

from middleware.headers import header, request_head, response_headers


def test_a_request_is_written_with_our_host_and_length_and_without_what_is_the_connections() -> None:
    headers = [
        (b"host", b"public:8000"),
        (b"x-one", b"1"),
        (b"connection", b"keep-alive, X-Hop"),
        (b"x-hop", b"secret"),
        (b"authorization", b"Bearer None"),
        (b"te", b"trailers"),
        (b"expect", b"100-continue"),
        (b"transfer-encoding", b"chunked"),
        (b"content-length", b"3"),
        (b"x-one", b"2"),
        (b"x-empty", b""),
    ]
    head = request_head("POST", b"/a%2Fb?c", "127.0.0.1:1", headers, length=5)
    assert head == (
        b"POST /a%2Fb?c HTTP/1.1\r\nhost: 127.0.0.1:1\r\nx-one: 1\r\nx-one: 2\r\nx-empty: \r\ncontent-length: 5\r\n\r\n"
    )


def test_a_body_of_unknown_length_goes_in_chunks_and_none_has_no_length() -> None:
    assert request_head("POST", b"/", "h", [], length=None, chunked=True).endswith(
        b"transfer-encoding: chunked\r\n\r\n"
    )
    assert request_head("GET", b"/", "h", [], length=None) == b"GET / HTTP/1.1\r\nhost: h\r\n\r\n"


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r", b"\0"])
def test_no_line_of_a_request_can_begin_another(end: bytes) -> None:
    bad = b"a" + end + b"content-length: 0"
    for length, chunked in ((5, False), (None, True), (None, False)):
        for method, target, headers in (
            ("POST", b"/", [(b"x-request-id", bad)]),
            ("POST", b"/", [(bad, b"1")]),
            ("POST", bad, []),
        ):
            with pytest.raises(ValueError, match="end of a line"):
                request_head(method, target, "h", headers, length=length, chunked=chunked)


def test_an_answers_headers_keep_order_and_duplicates() -> None:
    headers = [
        (b"set-cookie", b"a"),
        (b"server", b"uvicorn"),
        (b"date", b"x"),
        (b"connection", b"close, x-hop"),
        (b"x-hop", b"1"),
        (b"transfer-encoding", b"chunked"),
        (b"content-encoding", b"gzip"),
        (b"set-cookie", b"b"),
    ]
    expected = [(b"set-cookie", b"a"), (b"content-encoding", b"gzip"), (b"set-cookie", b"b")]
    assert response_headers(200, headers) == expected


def test_an_answer_without_a_body_promises_none() -> None:
    headers = [(b"content-length", b"7"), (b"etag", b"x")]
    assert response_headers(304, headers) == [(b"etag", b"x")]
    assert response_headers(200, headers) == headers


def test_the_first_of_several_headers_is_found() -> None:
    assert header([(b"a", b"1"), (b"b", b"2"), (b"b", b"3")], b"b") == b"2"
    assert header([], b"b") is None


@pytest.mark.parametrize(
    ("value", "passes"), [(b"0", True), (b" 12 ", True), (b"x", False), (b"-1", False), (b"", False)]
)
def test_a_rank_that_is_no_number_goes_no_further(value: bytes, passes: bool) -> None:
    head = request_head("POST", b"/", "h", [(b"x-data-parallel-rank", value)], length=0)
    assert (b"x-data-parallel-rank" in head) is passes
