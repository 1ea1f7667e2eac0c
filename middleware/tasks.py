"""What a model is for: it decides which of vLLM's routes exist, because vLLM registers no others.
Read by `middleware.routes`; said by --policy, or by SGLang when it becomes ready.
"""

import enum
from typing import Any


class Task(enum.Enum):
    GENERATE = "generate"
    TRANSCRIBE = "transcription"
    POOL = "pooling"
    EMBED = "embed"
    CLASSIFY = "classify"
    SCORE = "score"


# By the words of the policy's `task`; a classifier with one label gives scores, and is called `score`.
BY_WORD: dict[str, frozenset[Task]] = {
    "generate": frozenset({Task.GENERATE}),
    "transcription": frozenset({Task.TRANSCRIBE}),
    "generate+transcription": frozenset({Task.GENERATE, Task.TRANSCRIBE}),
    "embed": frozenset({Task.POOL, Task.EMBED, Task.SCORE}),
    "classify": frozenset({Task.POOL, Task.CLASSIFY}),
    "score": frozenset({Task.POOL, Task.CLASSIFY, Task.SCORE}),
    "reward": frozenset({Task.POOL}),
}
TRANSCRIBERS = ("Whisper",)


def of_word(word: str) -> frozenset[Task] | None:
    """None where it is for the engine to say."""
    return BY_WORD.get(word)


def of_engine(info: dict[str, Any]) -> frozenset[Task] | None:
    """By SGLang's /model_info; None where it does not tell, and then nothing is held back."""
    generates = info.get("is_generation")
    if not isinstance(generates, bool):
        return None
    architectures = [str(name) for name in info.get("architectures") or ()]
    if generates:
        if any(name.startswith(TRANSCRIBERS) for name in architectures):
            return BY_WORD["transcription"]
        return BY_WORD["generate+transcription" if info.get("has_audio_understanding") else "generate"]
    if any("ForSequenceClassification" in name for name in architectures):
        # How many labels it has SGLang does not say: --policy does.
        return BY_WORD["score"]
    return BY_WORD["reward" if any("ForRewardModel" in name for name in architectures) else "embed"]
