"""The names of the back ends that constrain an answer to a JSON schema, a regular expression or a grammar.
From vLLM 0.8.5 to 0.33.0 and SGLang 0.5.23; `shims.flags.structured` reads it.
"""

from __future__ import annotations

# `auto` is SGLang's default and needs no flag.
GRAMMAR_BACKEND = {
    "guidance": "llguidance",
    "lm-format-enforcer": "xgrammar",
    "outlines": "outlines",
    "xgrammar": "xgrammar",
}
