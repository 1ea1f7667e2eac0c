"""Ids: the client's own or a new one, and for SGLang one that is the beginning of no other."""

from __future__ import annotations

import re

import pytest

from middleware.dialect.ids import assigned, identify, renew
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


def test_haproxys_id_is_the_requests_and_the_end_of_what_sglang_knows() -> None:
    scope = {"headers": [(b"x-shim-request-id", b"0123456789abcdef")]}
    assert assigned(scope) == "0123456789abcdef"
    known = Told(Kind.CHAT)
    identify(known, [(b"x-request-id", b"mine")], assigned(scope))
    assert (known.id, known.rid) == ("chatcmpl-mine", "chatcmpl-mine-0123456789abcdef")
    bare = Told(Kind.COMPLETION)
    identify(bare, [], assigned(scope))
    assert bare.id == bare.rid == "cmpl-0123456789abcdef"


def test_a_request_that_is_sent_again_has_another_id_with_the_same_end() -> None:
    for given in ([], [(b"x-request-id", b"mine")]):
        known = Told(Kind.CHAT)
        identify(known, given, "0123456789abcdef")
        first = known.rid
        renew(known)
        assert known.rid.endswith("-0123456789abcdef")
        assert not known.rid.startswith(first)


@pytest.mark.parametrize(
    "given",
    [None, b"", b"0123456789ABCDEF", b"0123456789abcde", b"0123456789abcdef0", b"a b\x1b[31m\xff012345", b"x" * 16],
)
def test_without_haproxys_id_a_request_has_one_of_its_own_for_as_long_as_it_runs(given: bytes | None) -> None:
    scope = {"headers": [] if given is None else [(b"x-shim-request-id", given)]}
    name = assigned(scope)
    assert re.fullmatch("[0-9a-f]{16}", name)
    assert assigned(scope) == assigned({**scope}) == name
    assert assigned({"headers": []}) != name
