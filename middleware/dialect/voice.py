"""What is the same in every answer of this server: its fingerprint, the model's first name, what the flags ask for.
Made once by `middleware.proxy`.
"""

import hashlib
import json
from dataclasses import dataclass

from middleware.policy import Policy

# The version of vLLM that we speak for.
FULL = "vllm-0.33.0-"


@dataclass(frozen=True, slots=True)
class Voice:
    fingerprint: str | None = None
    model: str | None = None
    role: str = "assistant"
    prompt_tokens_details: bool = False
    tokens_as_ids: bool = False
    reasoning: bool = False


def voice(policy: Policy, names: tuple[str, ...] = ()) -> Voice:
    return Voice(
        fingerprint=fingerprint(policy, names),
        model=names[0] if names else None,
        role=policy.response_role,
        prompt_tokens_details=policy.prompt_tokens_details,
        tokens_as_ids=policy.return_tokens_as_token_ids,
        reasoning=policy.reasoning_parser,
    )


def fingerprint(policy: Policy, names: tuple[str, ...]) -> str | None:
    """vLLM's is a hash of its configuration: the same for servers that were started alike."""
    if policy.fingerprint_mode == "none":
        return None
    if policy.fingerprint_mode == "custom":
        return policy.fingerprint_value
    started_as = json.dumps([names, policy.to_json()], sort_keys=True, default=str)
    digest = hashlib.sha256(started_as.encode()).hexdigest()[:8]
    return digest if policy.fingerprint_mode == "hash" else FULL + digest
