"""The tables of the requests of which little is decided: mostly what they may name, and what they may bring along.
Walked by `fields.edit`; a field that is not named here goes on as it came.
"""

from middleware.fields import media, trust
from middleware.fields.record import Table, check
from middleware.fields.sampling import Sampling

_TEMPLATES = (
    check("chat_template_kwargs", trust.template_kwargs, "a template in it needs --trust-request-chat-template"),
    check("chat_template", trust.template, "to chat_template_kwargs, with --trust-request-chat-template"),
)
_MEDIA_KWARGS = (
    check("mm_processor_kwargs", trust.processor_kwargs, "with --trust-request-mm-kwargs"),
    check("media_io_kwargs", trust.media_kwargs, "refused: SGLang has no such thing"),
)

# Anthropic's: its requests always name their length.
MESSAGES = Table(
    "messages",
    repairs=(
        media.in_content("messages", "system"),
        Sampling(required=True, only=frozenset({"temperature", "top_k", "top_p"})),
    ),
)
COUNTED = Table("count_tokens", repairs=(media.in_content("messages", "system"),))
TOKENIZE = Table("tokenize", fields=_TEMPLATES, repairs=(media.in_content("messages"),))
EMBEDDINGS = Table("embeddings", fields=_MEDIA_KWARGS, repairs=(media.in_embedding_input,))
RERANK = Table("rerank", fields=_MEDIA_KWARGS, repairs=(media.in_content("query", "documents"),))
DECISIONS = Table("decisions", fields=_TEMPLATES, repairs=(media.in_images,))
# SGLang's own.
NATIVE = Table("native", repairs=(media.in_data,))
VERTEX = Table("vertex", repairs=(media.in_vertex,))
