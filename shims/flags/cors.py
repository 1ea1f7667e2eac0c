"""Cross-origin requests of browsers. vLLM 0.33.0 allows none unless these flags do. The middleware answers them;
SGLang's own answer, which allows everybody everything, never gets out.
"""

from __future__ import annotations

import re
from typing import Any

from shims.flags.draft import Draft
from shims.flags.record import Converter, Flag, Outcome, already, dropped, invalid, ours

# What can stand in a header without breaking it.
WORD = re.compile(r"[!-~]+")


def words(field: str, example: str, *, empty: str) -> Converter:
    def convert(draft: Draft, value: Any) -> Outcome:
        if not isinstance(value, list) or not all(isinstance(word, str) and WORD.fullmatch(word) for word in value):
            return invalid(f"give one JSON list of texts, such as {example}")
        draft.ask(**{field: tuple(value)})
        if not value:
            return already(empty)
        if field != "allowed_origins" and not draft.given("--allowed-origins"):
            return dropped("without --allowed-origins browsers of other origins get nothing, as in vLLM")
        return Outcome("ours", f"the middleware allows {', '.join(value)}")

    return convert


def credentials(draft: Draft, value: bool) -> Outcome:
    if not value:
        return already("off by default")
    draft.ask(allow_credentials=True)
    if not draft.given("--allowed-origins"):
        return dropped("without --allowed-origins browsers of other origins get nothing, as in vLLM")
    return Outcome("ours", "the middleware allows credentials")


FLAGS: tuple[Flag, ...] = (
    ours(
        "--allowed-origins",
        words("allowed_origins", '["https://app.example"]', empty="no other origin is allowed"),
        to="the middleware answers",
    ),
    ours(
        "--allowed-methods",
        words("allowed_methods", '["GET", "POST"]', empty="no method is allowed"),
        to="the middleware answers",
    ),
    ours(
        "--allowed-headers",
        words("allowed_headers", '["x-tenant"]', empty="only the simple headers are allowed"),
        to="the middleware answers",
    ),
    ours("--allow-credentials", credentials, to="the middleware answers"),
)
