"""A request's JSON object while it is being edited: the top level decoded, every value still the client's bytes.
Made by `fields.edit`, changed by converters and repairs.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from middleware.errors import bad_request
from middleware.fields.told import Told
from middleware.policy import Policy

RAW_NULL = b"null"
# Decoded, each takes fifty bytes and more: twelve million characters of `[],` stopped every stream for 1.5 s.
CONTAINERS = 500_000


class Draft:
    __slots__ = (
        "added",
        "at",
        "body",
        "deferred",
        "edits",
        "fields",
        "policy",
        "prompts",
        "rules",
        "sent",
        "texts",
        "told",
    )

    def __init__(
        self, fields: dict[str, msgspec.Raw], policy: Policy, told: Told | None = None, body: bytes = b""
    ) -> None:
        self.fields = fields
        # As the client sent them, however the draft changes: vLLM renders its prompt from these.
        self.sent: Mapping[str, msgspec.Raw] = fields
        # Checks that take long, for a thread; None where nobody is there to run them later.
        self.deferred: list[Callable[[], None]] | None = None
        self.policy = policy
        self.at = "body"  # where it stands in what the client sent
        # What the answer's editing will need; the client's bytes, while nothing has changed.
        self.told = told or Told()
        self.body = body
        self.edits = 0
        # The table's rules that have changed something, by name.
        self.rules: list[str] = []
        # The messages, if they are in order as they are and all of them texts: without parts there is less to look at.
        self.texts: list[dict[str, msgspec.Raw]] | None = None
        self.prompts = False  # The table's.
        # Whether a field has come in that was not there.
        self.added = False

    @property
    def changed(self) -> bool:
        return self.edits > 0

    def given(self, name: str) -> bool:
        """Whether the field is there and not null."""
        raw = self.fields.get(name)
        return raw is not None and bytes(raw) != RAW_NULL

    def value(self, name: str) -> Any:
        """The field's value, decoded; None where it is absent. Too deeply nested is a RecursionError, as everywhere."""
        raw = self.fields.get(name)
        if raw is None:
            return None
        if len(raw) > CONTAINERS:
            text = bytes(raw)
            if text.count(b"[") + text.count(b"{") > CONTAINERS:
                raise bad_request(f"{name} is made of more than {CONTAINERS} lists and objects.", name)
        return msgspec.json.decode(raw)

    def number(self, name: str) -> int | None:
        """The field's value where pydantic, which reads it in vLLM and SGLang, takes it for an int: 5, 5.0 and "5"."""
        value = self.value(name)
        if isinstance(value, str):
            value = _numeral(value)
        if isinstance(value, float):
            return int(value) if value.is_integer() else None  # Which infinity is not.
        return int(value) if isinstance(value, int) else None

    def drop(self, name: str) -> None:
        del self.fields[name]
        self.edits += 1

    def put(self, name: str, value: object) -> None:
        """Sets a field of SGLang's on behalf of one of vLLM's; what the client set itself is not overwritten."""
        if self.given(name):
            raise bad_request(f"{name} is given twice: once by itself and once through another field.", name)
        self.replace(name, value)

    def replace(self, name: str, value: object) -> None:
        raw = value if isinstance(value, msgspec.Raw) else msgspec.Raw(msgspec.json.encode(value))
        self.added = self.added or name not in self.fields
        self.fields[name] = raw
        self.edits += 1


def _numeral(text: str) -> int | float | None:
    """Of hundreds of digits, too, which as a float would be infinite and exceed no limit."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return None
