"""A request's JSON object while it is being edited: the top level decoded, every value still the client's bytes.
Made by `fields.edit`, changed by converters and repairs.
"""

from typing import Any

import msgspec

from middleware.errors import bad_request

RAW_NULL = b"null"


class Draft:
    __slots__ = ("changed", "fields")

    def __init__(self, fields: dict[str, msgspec.Raw]) -> None:
        self.fields = fields
        self.changed = False

    def given(self, name: str) -> bool:
        """Whether the field is there and not null."""
        raw = self.fields.get(name)
        return raw is not None and bytes(raw) != RAW_NULL

    def value(self, name: str) -> Any:
        """The field's value, decoded; None where it is absent. Too deeply nested is a RecursionError, as everywhere."""
        raw = self.fields.get(name)
        return None if raw is None else msgspec.json.decode(raw)

    def drop(self, name: str) -> None:
        del self.fields[name]
        self.changed = True

    def put(self, name: str, value: object) -> None:
        """Sets a field of SGLang's on behalf of one of vLLM's; what the client set itself is not overwritten."""
        if self.given(name):
            raise bad_request(f"{name} is given twice: once by itself and once through another field.", name)
        self.replace(name, value)

    def replace(self, name: str, value: object) -> None:
        raw = value if isinstance(value, msgspec.Raw) else msgspec.Raw(msgspec.json.encode(value))
        self.fields[name] = raw
        self.changed = True
