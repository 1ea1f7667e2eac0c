"""Lists of token ids in the small requests: plain numbers in pieces, at any length; others one by one, up to a bound.
Used by /detokenize and /generative_scoring, which anybody may call: a million texts for numbers held up every stream.
"""

import time
from typing import Annotated, Any

import msgspec

from middleware.errors import bad_request
from middleware.form import Form

# What a tokenizer reads an id into; vLLM passes on what Python says of a larger one.
LARGEST_ID = 2**32 - 1
LARGEST_INTEGER = 2**63 - 1
# What is looked at in one piece, with room for other threads after it: half a millisecond.
PIECE = 8 * 1024
# Of what pydantic would make numbers of, or tell of, one by one: three microseconds each.
MOST_READ = 32 * 1024

_IDS = list[Annotated[int, msgspec.Meta(ge=0, le=LARGEST_ID)]]


def plain(values: list[Any]) -> bool:
    """Whether all of them are whole numbers that a tokenizer takes."""
    try:
        for start in range(0, len(values), PIECE):
            msgspec.convert(values[start : start + PIECE], _IDS)
            time.sleep(0)
    except msgspec.ValidationError:
        return False
    return True


def written(values: list[int] | list[str]) -> msgspec.Raw:
    """As JSON, made in pieces."""
    pieces = []
    for start in range(0, len(values), PIECE):
        pieces.append(msgspec.json.encode(values[start : start + PIECE])[1:-1])
        time.sleep(0)
    return msgspec.Raw(b"[%b]" % b",".join(pieces))


def read(form: Form, name: str, *, natural: bool = False) -> list[int]:
    """What pydantic makes of the list, in a thread; `natural` are those from 0 on."""
    given = form.items(name) or []
    if plain(given):
        return given
    if len(given) > MOST_READ:
        raise bad_request(
            f"{name} is a list of {len(given)} items that are not all plain token ids: more than {MOST_READ} are not "
            "read one by one.",
            name,
        )
    ids = []
    for at, value in enumerate(given):
        loc = f"{name}.{at}"
        number = form.as_integer(loc, value)
        if number is None:
            continue
        if natural and number < 0:
            form.wrong("greater_than_equal", loc, "Input should be greater than or equal to 0", value, ge=0)
        elif natural and number > LARGEST_INTEGER:
            msg = f"Input should be less than or equal to {LARGEST_INTEGER}"
            form.wrong("less_than_equal", loc, msg, value, le=LARGEST_INTEGER)
        ids.append(number)
    return ids
