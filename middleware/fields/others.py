"""The tables of the requests of which little is decided: mostly what they may name, and what they may bring along.
Walked by `fields.edit`; a field that is not named here goes on as it came.
"""

from middleware.fields import media, tokens, trust
from middleware.fields.kinds import DICT, STR
from middleware.fields.record import Table, check
from middleware.fields.typed import becomes, takes

_TEMPLATES = (
    takes(
        "chat_template_kwargs", DICT, "with --trust-request-chat-template a template too", then=trust.template_kwargs
    ),
    becomes("chat_template", STR, trust.template, "chat_template_kwargs, with --trust-request-chat-template"),
)
TOKENIZE = Table("tokenize", fields=_TEMPLATES, repairs={"media": media.in_content("messages")})
DECISIONS = Table("decisions", fields=_TEMPLATES, repairs={"in_images": media.in_images})
DETOKENIZE = Table("detokenize", fields=(check("tokens", tokens.prompt_ids, "no others than the vocabulary's"),))
