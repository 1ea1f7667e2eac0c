"""THE table of an answer in token ids: vLLM 0.33.0's keys, in its order, from what SGLang 0.5.23's /generate tells.
Walked for every answer of /inference/v1/generate that is no stream; `tokens_stream` has the chunks.

A token with its probability has the keys of two vLLMs: those of 0.32 and later, and behind them those of 0.31 and
earlier, by which renderers 0.1.12 reads it.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from middleware.dialect import tools, usage
from middleware.dialect.experts import experts
from middleware.dialect.generated import Triple, counted
from middleware.dialect.keys import ABSENT, NEVER, Json, Key, Source, made, null, rebuild, same
from middleware.dialect.logprobs import FLOOR, TOKEN_ID, floored
from middleware.dialect.prompt_logprobs import of_prompt
from middleware.dialect.voice import Voice
from middleware.fields.told import Told

Rows = Sequence[Sequence[Triple] | None]


def gathered(answer: Any, told: Told) -> Json:
    """SGLang's object, or its list of one for each choice, as the tables here take it."""
    items = answer if isinstance(answer, list) else [answer]
    choices = [{**item, "index": place, **ended(item["meta_info"], told)} for place, item in enumerate(items)]
    return {"choices": choices, "usage": counted([item["meta_info"] for item in items], told)}


def ended(info: Mapping[str, Any], told: Told) -> Json:
    """How, and by what."""
    reason = info["finish_reason"] or {}
    return {"finish_reason": reason.get("type"), "stop_reason": tools.stop_reason(reason.get("matched"), told)}


def scored(ids: Sequence[int], chosen: Sequence[Triple], ranked: Rows, alternatives: int) -> Json:
    """Each of the tokens; vLLM has the one that was sampled first among its alternatives, ranked or not."""
    content: list[Json] = []
    for place, number in enumerate(ids):
        triple = chosen[place] if place < len(chosen) else None
        if triple is None or triple[1] != number:
            content.append({**_token(number, FLOOR, None), "top_logprobs": []})
            continue
        row = (ranked[place] if place < len(ranked) else None) or ()
        tops = [_token(*one) for one in _first(triple, row[:alternatives])]
        content.append({**tops[0], "top_logprobs": tops})
    return {"content": content}


def _first(actual: Triple, row: Sequence[Triple]) -> list[tuple[int, float | None, int | None]]:
    """Id, log probability and rank: the actual one, and then the likeliest. Of one that is not among these SGLang
    tells no rank: it has at least that of the next, and clients sort by it (TRL 1.16)."""
    number = actual[1]
    if len(row) == 1 and row[0][1] == number:  # As nearly always: what trainers ask for.
        return [(number, actual[0], 1)]
    rank = next((place for place, other in enumerate(row, 1) if other[1] == number), len(row) + 1 if row else None)
    others = [(other[1], other[0], place) for place, other in enumerate(row, 1) if other[1] != number]
    return [(number, actual[0], rank), *others]


def _token(number: int, logprob: float | None, rank: int | None) -> Json:
    named = f"{TOKEN_ID}{number}"
    return {"token_id": number, "logprob": floored(logprob), "rank": rank, "token": named, "bytes": None}


def _request_id(answer: Source, told: Told, voice: Voice) -> Any:
    return told.id


def _model(answer: Source, told: Told, voice: Voice) -> Any:
    return told.model or voice.model


def _created(answer: Source, told: Told, voice: Voice) -> Any:
    return int(time.time())


def _usage(answer: Source, told: Told, voice: Voice) -> Any:
    return usage.whole(answer["usage"], told, voice)


def _prompt_logprobs(answer: Source, told: Told, voice: Voice) -> Any:
    wanted = told.prompt_logprobs
    return None if wanted is None else of_prompt(answer["choices"][0]["meta_info"], wanted)


def _prompt_token_ids(answer: Source, told: Told, voice: Voice) -> Any:
    return told.tokens.prompt if told.return_token_ids else None


def _mode(answer: Source, told: Told, voice: Voice) -> Any:
    return mode(told)


def _choices(answer: Source, told: Told, voice: Voice) -> Any:
    return [rebuild(CHOICE, choice, told, voice) for choice in answer["choices"]]


def _experts(choice: Source, told: Told, voice: Voice) -> Any:
    return experts(choice["meta_info"], told)


def _weight_versions(choice: Source, told: Told, voice: Voice) -> Any:
    return choice["meta_info"].get("weight_versions")


def _text(choice: Source, told: Told, voice: Voice) -> Any:
    return choice["text"] if told.tokens.text else ABSENT


def _logprobs(choice: Source, told: Told, voice: Voice) -> Any:
    info, wanted = choice["meta_info"], told.logprobs
    if wanted is None:
        return None
    ranked = info.get("output_top_logprobs") or ()
    return scored(choice["output_ids"], info["output_token_logprobs"], ranked, wanted)


def mode(told: Told) -> str:
    return "text" if told.tokens.text else "tokens"


CHOICE: tuple[Key, ...] = (
    same("index"),
    same("finish_reason"),
    same("stop_reason"),
    Key("token_ids", source="output_ids"),
    made("routed_experts", _experts, "of --enable-return-routed-experts, in prime-rl's form"),
    null("sampling_mask", "with vLLM's --return-sampling-mask, which is refused"),
    made("weight_versions", _weight_versions, "of the tokens, from which on and up to which"),
    made("text", _text, "with output_mode text"),
    made("logprobs", _logprobs, "with sampling_params.logprobs"),
)
WHOLE: tuple[Key, ...] = (
    made("request_id", _request_id, "vLLM's"),
    made("model", _model, "the model's first name, or the adapter's"),
    made("created", _created, "now"),
    made("usage", _usage, "vLLM's keys"),
    made("prompt_logprobs", _prompt_logprobs, "with sampling_params.prompt_logprobs"),
    null("prompt_token_id_logprobs", "with prompt_logprob_token_ids, which is refused"),
    made("prompt_token_ids", _prompt_token_ids, "with return_token_ids"),
    null("mm_placeholders", "of pictures, which are refused"),
    null("metrics", "with vLLM's --enable-per-request-metrics, which SGLang has not"),
    null("kv_transfer_params", NEVER),
    null("ec_transfer_params", NEVER),
    made("output_mode", _mode, "as it was asked for"),
    made("choices", _choices, "by their own table"),
)


def whole(answer: Source, told: Told, voice: Voice) -> Json:
    return rebuild(WHOLE, answer, told, voice)
