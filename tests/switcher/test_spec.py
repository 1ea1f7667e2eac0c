"""What is written as `models.json` is what is read, and what cannot be read is told in one sentence."""

from __future__ import annotations

import json
from dataclasses import fields

import pytest

from switcher.spec import READERS, Member, Mux, SpecError, Tier, read
from tests.switcher.scene import member

ONE = {"name": "a", "program": "sglang-a", "names": ["a"], "port": 8001}


def test_what_is_written_is_read() -> None:
    a = member("a", aliases=("x", "y"), tier=Tier.DISK, min_residency_seconds=3.0, pin=True, group="g", command="abc")
    mux = Mux((a, member("b", devices=())), device_memory={0: 80.0, 7: 24.5}, default="x")
    assert read(json.dumps(mux.to_json())) == mux


def test_every_field_can_be_read() -> None:
    assert {f.type for of in (Member, Mux) for f in fields(of)} <= set(READERS)


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({}, "the models' document has no members"),
        ({"members": []}, "the models' document has no members"),
        ([], "the models' document is no JSON object"),
        ({"members": [ONE], "slot": 1}, "the models' document has unknown fields: slot"),
        ({"members": [{"name": "a"}]}, "number 1 of members of the models' document has no program, names, port"),
        ({"members": [ONE | {"ttl": 1}]}, "number 1 of members of the models' document has unknown fields: ttl"),
        ({"members": [ONE | {"tier": "gpu"}]}, "tier of .* is 'gpu': give one of cpu, disk, stopped"),
        ({"members": [ONE | {"ttl_seconds": "1"}]}, "ttl_seconds of .* is '1': give a number, 0 or more"),
        ({"members": [ONE | {"port": 1.5}]}, r"port of .* is 1\.5: give a whole number, 0 or more"),
        ({"members": [ONE | {"pin": 1}]}, "pin of .* is 1: give true or false"),
        ({"members": [ONE | {"devices": 0}]}, "devices of .* is 0: give a list"),
        ({"members": [ONE], "device_memory": {"x": 1}}, "device_memory of .*: give an object of GiB by the device's"),
        ({"members": [ONE | {"names": ["b"]}]}, "names of a do not begin with its name"),
        ({"members": [ONE, ONE]}, "a is a name of a and of a: every name is one member's"),
        ({"members": [ONE], "default": "b"}, "default is 'b', which is no member's name: give one of a"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(document: object, told: str) -> None:
    with pytest.raises(SpecError, match=told):
        read(json.dumps(document))


def test_what_is_no_json_is_told() -> None:
    with pytest.raises(SpecError, match="is no JSON"):
        read("{")
