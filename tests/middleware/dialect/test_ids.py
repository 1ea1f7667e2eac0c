"""Ids: the client's own or a new one, and for SGLang one that is the beginning of no other."""

from __future__ import annotations

import re

import pytest

from middleware.dialect.ids import identify
from middleware.fields.told import Kind, Told


def told(kind: Kind = Kind.CHAT, header: bytes | None = None, field: str | None = None) -> Told:
    known = Told(kind, request_id=field)
    identify(known, [] if header is None else [(b"x-request-id", header)])
    return known


@pytest.mark.parametrize(("kind", "prefix"), [(Kind.CHAT, "chatcmpl-"), (Kind.COMPLETION, "cmpl-")])
def test_without_a_word_of_the_clients_both_have_one_id(kind: Kind, prefix: str) -> None:
    known = told(kind)
    assert re.fullmatch(prefix + "[0-9a-f]{16}", known.id)
    assert known.rid == known.id
    assert told(kind).id != known.id


def test_the_header_wins_over_the_field() -> None:
    assert told(header=b"hdr-1", field="body-1").id == "chatcmpl-hdr-1"
    assert told(field="body-1").id == "chatcmpl-body-1"


def test_an_id_that_is_used_twice_is_two_requests_to_sglang() -> None:
    one, two = told(header=b"same"), told(header=b"same")
    assert one.id == two.id == "chatcmpl-same"
    assert one.rid != two.rid
    assert one.rid.startswith("chatcmpl-same-")


def test_no_id_that_a_client_chooses_is_the_beginning_of_anothers() -> None:
    victim = told(header=b"abc-1234567890")
    for chosen in (b"", b"a", b"abc", b"abc-", b"abc-1234567890", victim.rid.encode()[:20]):
        assert not victim.rid.startswith(told(header=chosen).rid)


@pytest.mark.parametrize("given", [b'"quoted"', b"\xe9", b"a b", b"x" * 5000, b"a\x00b"])
def test_only_plain_ids_are_shown_to_sglang(given: bytes) -> None:
    known = told(header=given)
    assert known.id == "chatcmpl-" + given.decode("latin-1")
    assert re.fullmatch("chatcmpl-[0-9a-f]{16}", known.rid)


def test_a_responses_own_field_is_its_whole_id_and_never_goes_to_sglang_alone() -> None:
    known = told(Kind.RESPONSE, header=b"not asked")
    assert known.id == known.rid
    assert (known.rid_field, known.id[:5]) == ("request_id", "resp_")
    chosen = told(Kind.RESPONSE, field="chatcmpl-")
    assert chosen.id == "chatcmpl-"
    assert re.fullmatch(r"resp_chatcmpl--[0-9a-f]{16}", chosen.rid)


@pytest.mark.parametrize("kind", [Kind.OTHER, Kind.NATIVE])
def test_other_requests_keep_what_they_have(kind: Kind) -> None:
    known = told(kind, header=b"x")
    assert (known.id, known.rid) == ("", "")
