"""Fields of completions that vLLM takes from models and servers of a kind that none here is: refused in its words.
Checks of the table of completions.
"""

from middleware.errors import Refused, bad_value, error
from middleware.fields.draft import Draft


def suffix(draft: Draft, name: str, value: object) -> None:
    raise Refused(error(400, f"{name} is only supported for models with FIM completion rendering", param=name))


def embeds(draft: Draft, name: str) -> None:
    if draft.value(name) not in (None, []):
        raise bad_value(f"You must set `--enable-prompt-embeds` to input `{name}`.", name)
    draft.drop(name)
