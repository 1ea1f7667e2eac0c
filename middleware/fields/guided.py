"""The fields that ask for structured output, the same in chat and in completions.
Part of both tables; vLLM took guided_* until 0.11 and structured_outputs since, and SGLang ignores all of them.
"""

from middleware.fields.record import Field, convert, drop
from middleware.fields.structured import guided, guided_whitespace_pattern, structured_outputs

GUIDED: tuple[Field, ...] = (
    convert("guided_json", guided("json"), "response_format json_schema"),
    convert("guided_regex", guided("regex"), "regex"),
    convert("guided_choice", guided("choice"), "regex: the strings, escaped, as alternatives"),
    convert("guided_grammar", guided("grammar"), "ebnf, if it is GBNF"),
    convert("structured_outputs", structured_outputs, "whichever of these it asks for"),
    drop("guided_decoding_backend", "SGLang has one for the whole server: --grammar-backend"),
    # After the others: alone it asks for nothing.
    convert("guided_whitespace_pattern", guided_whitespace_pattern, "refused beside a schema, else nothing"),
)
