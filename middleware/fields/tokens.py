"""Token ids in a request: those outside of the vocabulary kill SGLang 0.5.23, and vLLM refuses them in these words.
Called by the tables for each field that names tokens, and for prompts of ids.
"""

import functools
import time
from typing import Any

import msgspec

from middleware.errors import bad_request, bad_value
from middleware.fields.draft import Draft
from middleware.fields.kinds import INT, STR, Errors, bounded, list_of, missing, schema_error

# What can be asked for in one piece without holding up other requests: about 0.3 ms of the event loop.
PIECE = 32 * 1024
# Ids that are checked later, in a thread.
LONG = 128 * 1024
LARGEST_BIAS = 100.0
TOKENS = "tokens"
# Of SGLang's chat.
CHAT_IDS = "input_ids"
CHAT_TARGET = b"/v1/chat/completions"

_IDS = msgspec.json.Decoder(list[int])
_ONE = list_of(bounded(INT, ge=0))
_SEVERAL = list_of(_ONE)


def stop_ids(draft: Draft, name: str, ids: Any) -> None:
    known_ids(draft, name, ids)
    draft.told.stop_token_ids = frozenset(map(int, ids))


def known_ids(draft: Draft, name: str, ids: Any) -> None:
    if strange := _outside(draft, ids):
        raise _outside_error(draft, name, strange)


def biases(draft: Draft, name: str, given: Any) -> None:
    """By token, as numbers: vLLM bounds them, SGLang does not."""
    invalid = [key for key in given if not _is_int(key)]
    if invalid:
        raise bad_value(
            f"{name} contains key(s) that cannot be converted to integer token IDs: {invalid!r}", name, invalid
        )
    bounded_biases = {str(int(key)): max(-LARGEST_BIAS, min(LARGEST_BIAS, bias)) for key, bias in given.items()}
    if strange := _outside(draft, map(int, given)):
        raise _outside_error(draft, name, strange)
    if bounded_biases != given:
        draft.replace(name, bounded_biases)


def allowed_ids(draft: Draft, name: str, ids: Any) -> None:
    if not ids:
        raise bad_value(f"{name} is not None and empty!", name, "[]")
    if strange := _outside(draft, ids):
        raise bad_value(f"{name} contains out-of-vocab token id!", name, strange)
    raise bad_value(f"{name} is not supported: SGLang cannot hold its output to a list of tokens.", name)


def prompt_ids(draft: Draft, name: str) -> None:
    """A field that is a list of ids, or a list of such lists; a long one is left to a thread where there is one."""
    raw = draft.fields[name]
    check = functools.partial(check_ids, raw, draft.policy.vocab_size, name)
    if draft.deferred is not None and len(bytes(raw)) > LONG:
        draft.deferred.append(check)
    else:
        check()


def chat_ids(draft: Draft, name: str) -> None:
    """A chat's prompt in ids, beside its messages, as prime-rl's clients send it; SGLang's chat has another name."""
    raw = bytes(draft.fields[name])
    if raw.count(b"[") != 1 or not raw.strip(b"[] \t\r\n"):
        value = msgspec.json.decode(raw)
        errors: Errors = []
        _ONE.read(value, f"body.{name}", errors)
        raise schema_error(errors) if errors else bad_value(f"{name} must not be empty.", name)
    prompt_ids(draft, name)
    ids = draft.fields[name]
    draft.drop(name)
    draft.put(CHAT_IDS, ids)
    draft.told.prompt_is_ids = True
    draft.told.target = CHAT_TARGET


def ids_given(draft: Draft) -> None:
    if TOKENS not in draft.sent:
        raise missing((TOKENS,), len(draft.sent))


def check_ids(raw: msgspec.Raw | bytes, vocab_size: int | None, name: str = "prompt") -> None:
    """In pieces, with room for other threads between them: 200,000 ids in one go hold the interpreter for 15 ms."""
    text = bytes(raw)
    try:
        largest = _largest(text)
    except msgspec.DecodeError:  # Empty lists between others, or no plain numbers.
        largest = _largest_of_any(text, name)
    if vocab_size is not None and largest >= vocab_size:
        raise bad_request(f"Token id {largest} is out of vocabulary")


def _largest(text: bytes) -> int:
    if b"-" in text:
        raise msgspec.DecodeError
    flat = text.translate(None, b"[] \t\r\n")
    largest = -1
    start = 0
    while start < len(flat):
        end = flat.find(b",", start + PIECE)
        if end < 0:
            end = len(flat)
        largest = max(largest, max(_IDS.decode(b"[" + flat[start:end] + b"]"), default=-1))
        start = end + 1
        if start < len(flat):
            time.sleep(0)
    return largest


def _largest_of_any(text: bytes, name: str) -> int:
    """The slow way, which also says what is wrong."""
    value = msgspec.json.decode(text)
    for form in (_ONE, _SEVERAL):
        errors: Errors = []
        ids = form.read(value, f"body.{name}", errors)
        if not errors:
            if form is _SEVERAL and [] in ids:
                raise bad_request("The decoder prompt cannot be empty")
            flat = ids if form is _ONE else [token for row in ids for token in row]
            return max(map(int, flat), default=-1)
    raise no_prompt(value, name)


def no_prompt(value: Any, name: str) -> Exception:
    """Each of the forms that a prompt may have says why the value is not of it."""
    errors: Errors = []
    for form in (_ONE, _SEVERAL, STR, list_of(STR)):
        form.read(value, f"body.{name}", errors)
    return schema_error(errors)


def _is_int(text: str) -> bool:
    try:
        int(text)
    except ValueError:
        return False
    return True


def _outside(draft: Draft, ids: Any) -> list[int]:
    """SGLang takes 32 bits; what is beyond its own vocabulary is known only where somebody said how large that is."""
    size = draft.policy.vocab_size or 2**31
    return [token for token in ids if not 0 <= token < size]


def _outside_error(draft: Draft, name: str, strange: list[int]) -> Exception:
    size = draft.policy.vocab_size
    told = f" Vocabulary size: {size}" if size is not None else ""
    return bad_value(f"token_id(s) {strange} in {name} contain out-of-vocab token ids.{told}", name, strange)
