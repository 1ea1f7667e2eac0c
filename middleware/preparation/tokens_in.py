"""A request of /inference/v1/generate as SGLang's /generate takes it: the same ids, and vLLM's length if none is said.
Made by `prepare` for each; `dialect.tokens_out` and `tokens_stream` tell the answer.
"""

from typing import Any

import msgspec

from middleware.dialect.prompt_logprobs import LEAST
from middleware.errors import bad_value
from middleware.fields.draft import Draft
from middleware.fields.names import LORA
from middleware.fields.native_sampling import SAMPLING_PARAMS, sampling_params
from middleware.fields.tokens_in import IDS, TEXT
from middleware.fields.tokens_sampling import LENGTH
from middleware.preparation.generated import SAMPLING, TARGET, constraint
from middleware.preparation.prompts import Prompts

NEW_TOKENS = "max_new_tokens"
# THE table: what SGLang's /generate (0.5.23) calls what vLLM has in `sampling_params`.
PARAMS = {
    **{name: ours for name, ours in SAMPLING.items() if name != LENGTH},
    **{name: name for name in ("stream_interval", "spaces_between_special_tokens")},
}
SAME = ("stream", "priority", "cache_salt", LORA)

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


class TokenPrompts:
    """TokenPrompts(prompts).work(draft)   # it changes the draft, or is Refused"""

    __slots__ = ("_prompts",)

    def __init__(self, prompts: Prompts) -> None:
        self._prompts = prompts

    def work(self, draft: Draft) -> None:
        told, fields, ids = draft.told, draft.fields, draft.fields[IDS]
        inner = Draft(_OBJECT.decode(fields[SAMPLING_PARAMS]), draft.policy)
        told.prompt_is_ids = True
        told.prompt_tokens = bytes(ids).count(b",") + 1
        told.max_tokens = _length(inner, told.prompt_tokens, self._prompts.context)
        params: dict[str, Any] = {ours: inner.fields[name] for name, ours in PARAMS.items() if name in inner.fields}
        params |= constraint(inner)
        params[NEW_TOKENS] = told.max_tokens
        native: dict[str, Any] = {name: fields[name] for name in SAME if name in fields}
        native |= {"input_ids": ids, SAMPLING_PARAMS: params, **self._wanted(draft, inner)}
        if LORA not in fields:
            told.model = None  # vLLM tells its first name, whichever was used.
        draft.fields = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in native.items()}
        draft.edits += 1
        # Of the kinds that the scheduler must have: 5.0 is no int to it.
        sampling_params(draft)
        told.target = TARGET

    def _wanted(self, draft: Draft, inner: Draft) -> dict[str, Any]:
        """Of the answer, beside its tokens."""
        told, policy = draft.told, draft.policy
        out = told.tokens
        out.prompt = draft.fields[IDS]
        out.text = TEXT in draft.fields
        told.logprobs = inner.number("logprobs")
        streams = "stream" in draft.fields and bool(draft.value("stream"))
        # Nothing of vLLM's streams tells them.
        told.prompt_logprobs = None if streams else inner.number("prompt_logprobs")
        if out.text and told.logprobs is not None:
            words = "output_mode 'text' has no logprobs here: SGLang spells them otherwise than vLLM. Ask for 'tokens'."
            raise bad_value(words, "output_mode", TEXT)
        wanted: dict[str, Any] = {}
        of_prompt = None if told.prompt_logprobs is None else max(told.prompt_logprobs, LEAST)
        ranked = [number for number in (told.logprobs, of_prompt) if number is not None]
        if ranked:
            wanted |= {"return_logprob": True, "top_logprobs_num": max(ranked)}
        if of_prompt is not None:
            spelled = inner.value("detokenize") is not False
            wanted |= {"logprob_start_len": 0, "return_text_in_logprobs": spelled}
        if policy.routed_experts:
            out.experts_per_token = self._prompts.experts_per_token
            out.experts_start = min(inner.number("routed_experts_prompt_start") or 0, told.prompt_tokens or 0)
            wanted |= {"return_routed_experts": True, "routed_experts_start_len": out.experts_start}
        if policy.reasoning_parser and draft.value("reasoning_ended") is False:
            wanted["require_reasoning"] = True
        return wanted


def _length(inner: Draft, prompt: int, context: int | None) -> int | None:
    """As long as there is room, where nobody says less; None where nobody knows how much that is."""
    policy = inner.policy
    if context is not None and prompt >= context:
        raise bad_value(_too_long(prompt, context), "input_tokens", prompt)
    asked = inner.number(LENGTH)
    told = [asked] if asked is not None else [policy.sampling_defaults.get(LENGTH), policy.max_new_tokens]
    limits = [limit for limit in told if limit]
    if context is not None:
        limits.append(context - prompt)
    return min(limits) if limits else None


def _too_long(prompt: int, context: int) -> str:
    """Not vLLM's own words of this route, which clients do not know for those of a prompt that is too long: its other
    routes', by which verifiers tells an overlong prompt."""
    over = "exceeds this limit even without any output tokens" if prompt > context else "leaves no room for an answer"
    return (
        f"This model's maximum context length is {context} tokens. However, your prompt contains {prompt} input "
        f"tokens, which {over}. Please reduce the length of the input prompt."
    )
