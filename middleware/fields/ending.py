"""How a conversation ends: with a message to go on with, or with the beginning of a new one, and not with both.
A check of the table of chat, in vLLM's words.
"""

from middleware.errors import bad_request
from middleware.fields.draft import Draft

GENERATION = "add_generation_prompt"


def one_ending(draft: Draft, name: str, continues: bool) -> None:
    if not continues:
        return
    begins = draft.value(GENERATION)
    if begins:
        raise bad_request(f"Cannot set both `{name}` and `{GENERATION}` to True.")
    if GENERATION not in draft.fields:  # It is true by itself, and vLLM finds out when it renders.
        raise bad_request(
            f"{name} and {GENERATION} are not compatible. Use {name} when you want the model to continue the final "
            f"message, and {GENERATION} when you want to add a header that will prompt it to start a new assistant "
            "message instead."
        )
