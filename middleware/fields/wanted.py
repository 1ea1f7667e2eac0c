"""What vLLM's answers hold on request and SGLang must be asked for by other names: token ids.
Repairs of the tables of chat and completions; the answer's editing finds them where SGLang puts them.
"""

from middleware.errors import bad_value
from middleware.fields.draft import Draft

IDS = "return_token_ids"
VERSIONS = "return_weight_versions"
ECHO = "echo"
# SGLang 0.5.23 answers 400 to the field in a stream, and tells them at its end if asked so.
PROMPT_IDS_IN_STREAM = "return_input_ids_in_sglext"
IN_STREAM = (PROMPT_IDS_IN_STREAM, "return_output_ids_in_sglext")
# With it, the tokens of log probabilities have their ids beside them; not in streams.
META = "return_meta_info"


def token_ids(draft: Draft) -> None:
    stream = bool(draft.value("stream")) if "stream" in draft.fields else False
    if IDS in draft.fields and stream:
        wanted = draft.value(IDS)
        draft.drop(IDS)
        if wanted:
            for name in IN_STREAM:
                draft.replace(name, True)
    if stream and draft.told.return_weight_versions:
        words = "SGLang tells them in whole answers of chats alone"
        raise bad_value(f"{VERSIONS} is not supported in a stream: {words}.", VERSIONS)
    as_ids = draft.told.tokens_as_ids or draft.policy.return_tokens_as_token_ids
    if as_ids and not stream and draft.value("logprobs"):
        draft.replace(META, True)


def echoed_ids(draft: Draft) -> None:
    """vLLM tells the prompt's ids with each echo in a stream, asked or not; SGLang only if asked. Its text is
    not told where its ids are asked for."""
    if not draft.told.echo:
        return
    if draft.value("stream"):
        draft.replace(IDS, True)
    if draft.told.return_token_ids and draft.told.logprobs is None and not draft.told.only_prompt:
        draft.drop(ECHO)
