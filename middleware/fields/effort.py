"""--reasoning-effort-map: a requested effort becomes the one that the model's chat template knows.
Checks of the tables of chat and responses.
"""

from typing import Any

from middleware.fields.draft import Draft
from middleware.fields.kinds import one_of
from middleware.fields.trust import KWARGS

# What SGLang 0.5.23 takes in the field; any other word must go to the template as an argument.
TIERS = frozenset({"none", "minimal", "low", "medium", "high", "xhigh", "ultra", "max"})
# What vLLM takes.
EFFORT = one_of("none", "minimal", "low", "medium", "high", "xhigh", "max")


def chat_effort(draft: Draft, name: str, wanted: Any) -> None:
    mapped = _mapped(draft, wanted)
    if mapped == wanted:
        return
    if mapped in TIERS:
        draft.replace(name, mapped)
        return
    kwargs = draft.value(KWARGS)
    if kwargs is None or isinstance(kwargs, dict):
        # vLLM turns thinking on with any effort; SGLang does so only by the field that goes.
        draft.replace(KWARGS, {"enable_thinking": True, **(kwargs or {}), name: mapped})
        draft.drop(name)


def responses_effort(draft: Draft, name: str, reasoning: Any) -> None:
    if "effort" in reasoning:
        mapped = _mapped(draft, reasoning["effort"])
        if mapped != reasoning["effort"]:
            draft.replace(name, {**reasoning, "effort": mapped})


def _mapped(draft: Draft, effort: object) -> object:
    return draft.policy.reasoning_effort_map.get(effort, effort) if isinstance(effort, str) else effort
