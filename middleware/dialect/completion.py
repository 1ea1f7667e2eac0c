"""THE table of a whole completion: vLLM 0.33.0's keys, in its order, from SGLang 0.5.23's.
Walked for every answer of /v1/completions that is no stream; `completion_stream` has the chunks.
"""

from typing import Any

from middleware.dialect import logprobs
from middleware.dialect.keys import Json, Key, Source, made, rebuild, same
from middleware.dialect.openai import CHOICE_TAIL, STOP_REASON, TAIL, head
from middleware.dialect.voice import Voice
from middleware.fields.told import Told


def text(index: int, given: str, told: Told) -> str:
    """Of a choice that begins with its prompt. Where vLLM tells the prompt's ids it does not tell its text."""
    if not told.echoed:
        return given
    prompt = told.echoed[index // told.n]
    if told.only_prompt:
        return "" if told.return_token_ids else prompt
    return given.removeprefix(prompt) if told.return_token_ids else given


def _text(choice: Source, told: Told, voice: Voice) -> Any:
    return text(choice["index"], choice["text"], told)


def _logprobs(choice: Source, told: Told, voice: Voice) -> Any:
    return logprobs.Completion(told).told(choice.get("logprobs"), choice["text"])


def _token_ids(choice: Source, told: Told, voice: Voice) -> Any:
    return choice.get("token_ids") if told.return_token_ids else None


def _prompt_logprobs(choice: Source, told: Told, voice: Voice) -> Any:
    return choice.get("prompt_logprobs")


def _prompt_token_ids(choice: Source, told: Told, voice: Voice) -> Any:
    return choice.get("prompt_token_ids") if told.return_token_ids else None


CHOICE: tuple[Key, ...] = (
    same("index"),
    made("text", _text, "an echo without the one token that there must be, or without the prompt that is told as ids"),
    made("logprobs", _logprobs, "offsets counted; the chosen token first; -9999.0 is vLLM's minus infinity"),
    same("finish_reason"),
    STOP_REASON,
    made("token_ids", _token_ids, "with return_token_ids"),
    made("prompt_logprobs", _prompt_logprobs, "with prompt_logprobs; beside an echo alone it is null"),
    made("prompt_token_ids", _prompt_token_ids, "with return_token_ids"),
    *CHOICE_TAIL,
)
WHOLE: tuple[Key, ...] = (*head(CHOICE), *TAIL)


def whole(answer: Source, told: Told, voice: Voice) -> Json:
    return rebuild(WHOLE, answer, told, voice)
