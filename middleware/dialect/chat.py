"""THE table of a whole chat answer: vLLM 0.33.0's keys, in its order, from SGLang 0.5.23's.
Walked for every answer of /v1/chat/completions that is no stream; `chat_stream` has the chunks.
"""

from typing import Any

from middleware.dialect import logprobs, tools
from middleware.dialect.keys import ABSENT, NEVER, Json, Key, Source, made, null, rebuild, renamed, same
from middleware.dialect.openai import CHOICE_TAIL, STOP_REASON, TAIL, head
from middleware.dialect.voice import Voice
from middleware.fields.told import Told


def _role(message: Source, told: Told, voice: Voice) -> Any:
    return told.role or voice.role


def _content(message: Source, told: Told, voice: Voice) -> Any:
    """Where all went into the reasoning or into calls of the model's own choice it is null, and not empty."""
    content = message["content"]
    if content == "" and (message.get("reasoning_content") or _chosen_calls(message, told)):
        content = None
    return "".join(told.echoed) + (content or "") if told.echo else content


def _chosen_calls(message: Source, told: Told) -> bool:
    return bool(message.get("tool_calls")) and told.tool_choice not in tools.FORCED


def _tool_calls(message: Source, told: Told, voice: Voice) -> Any:
    calls = message.get("tool_calls")
    return tools.whole(calls, told) if calls else ABSENT


def _reasoning(message: Source, told: Told, voice: Voice) -> Any:
    return message.get("reasoning_content") if told.include_reasoning else None


def _reasoning_content(message: Source, told: Told, voice: Voice) -> Any:
    reasoning = _reasoning(message, told, voice)
    return ABSENT if reasoning is None else reasoning


MESSAGE: tuple[Key, ...] = (
    made("role", _role, "--response-role"),
    made("content", _content, "null where there is nothing but reasoning or calls; behind an echo"),
    null("refusal", NEVER),
    null("annotations", NEVER),
    null("audio", NEVER),
    null("function_call", NEVER),
    made("tool_calls", _tool_calls, "absent where there are none; ids in vLLM's form, without SGLang's index"),
    made("reasoning", _reasoning, "SGLang's reasoning_content"),
    made("reasoning_content", _reasoning_content, "the older name, for the clients that read it"),
)


def _message(choice: Source, told: Told, voice: Voice) -> Any:
    return rebuild(MESSAGE, choice["message"], told, voice)


def _logprobs(choice: Source, told: Told, voice: Voice) -> Any:
    meta_info = choice.get("meta_info") if told.tokens_as_ids or voice.tokens_as_ids else None
    return logprobs.chat(choice.get("logprobs"), meta_info)


def _finish_reason(choice: Source, told: Told, voice: Voice) -> Any:
    return tools.finish_reason(choice["finish_reason"], told)


def _token_ids(choice: Source, told: Told, voice: Voice) -> Any:
    return choice.get("response_token_ids") if told.return_token_ids else None


CHOICE: tuple[Key, ...] = (
    same("index"),
    made("message", _message, "as below"),
    made("logprobs", _logprobs, "vLLM's order; -9999.0 is its minus infinity"),
    made("finish_reason", _finish_reason, "stop where a function was named"),
    STOP_REASON,
    made("token_ids", _token_ids, "with return_token_ids"),
    *CHOICE_TAIL,
)


def _prompt_text(answer: Source, told: Told, voice: Voice) -> Any:
    return told.prompt_text


def _prompt_token_ids(answer: Source, told: Told, voice: Voice) -> Any:
    if not told.return_token_ids:
        return None
    return told.prompt_token_ids or answer["choices"][0].get("prompt_token_ids")


WHOLE: tuple[Key, ...] = (
    *head(CHOICE),
    renamed("prompt_logprobs", "prompt_logprobs", "SGLang's chat has none"),
    made("prompt_token_ids", _prompt_token_ids, "with return_token_ids"),
    made("prompt_text", _prompt_text, "with return_prompt_text"),
    *TAIL,
)


def whole(answer: Source, told: Told, voice: Voice) -> Json:
    return rebuild(WHOLE, answer, told, voice)
