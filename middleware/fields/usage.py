"""`stream_options`, and --enable-force-include-usage: every stream tells its usage, in each chunk and at its end.
Checks and a repair of the tables of chat and completions.
"""

from typing import Any

from middleware.errors import bad_value
from middleware.fields.draft import Draft
from middleware.fields.kinds import BOOL, OBJECT, Errors, FieldType

OPTIONS = "stream_options"


def of_streams_only(draft: Draft, name: str) -> None:
    if draft.value(name) and not draft.value("stream"):
        raise bad_value("Stream options can only be defined when `stream=True`.", name)


def _options(value: Any, loc: str, errors: Errors) -> Any:
    if not isinstance(value, dict):
        return OBJECT.read(value, loc, errors)
    for name in ("include_usage", "continuous_usage_stats"):
        if value.get(name) is not None:
            BOOL.read(value[name], f"{loc}.{name}", errors)
    return value


STREAM_OPTIONS = FieldType("stream options", _options)


def force_usage(draft: Draft) -> None:
    if not draft.policy.force_include_usage or not draft.value("stream"):
        return
    options = draft.value(OPTIONS)
    if options is None or isinstance(options, dict):
        forced = {**(options or {}), "include_usage": True, "continuous_usage_stats": True}
        if forced != options:
            draft.replace(OPTIONS, forced)
