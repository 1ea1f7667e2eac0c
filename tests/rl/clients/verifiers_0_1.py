"""Rollouts of `verifiers` 0.1.9, of the time when prime-rl trained through chat completions: of two turns, whose second
one may be asked for by ids, of a completion, and of a prompt that is too long. Run by `tests.rl.test_clients`.
"""

import asyncio
import json
import sys

import verifiers as vf
from datasets import Dataset
from openai import AsyncOpenAI

QUESTION = [{"role": "user", "content": "Name a colour."}]
LONG = [{"role": "user", "content": "colour " * 5000}]


class Twice(vf.MultiTurnEnv):
    async def env_response(self, messages: object, state: object, **kwargs: object) -> object:
        return [{"role": "user", "content": "And another one?"}]


async def main(url: str, model: str) -> dict[str, object]:
    client = AsyncOpenAI(base_url=f"{url}/v1", max_retries=0)

    async def rollout(prompt: object, turns: int, length: int = 8, **options: object) -> dict[str, object]:
        chat = options.get("message_type", "chat") == "chat"
        env = Twice(
            max_turns=turns,
            dataset=Dataset.from_list([{"prompt": QUESTION, "answer": ""}]),
            rubric=vf.Rubric(),
            **options,
        )
        sampling = {"temperature": 0.0, "max_tokens": length, "logprobs": True if chat else 0}
        sampling["extra_body"] = {"return_token_ids": True}
        given = {"prompt": prompt, "answer": "", "example_id": 0, "task": "colours"}
        state = await env.rollout(given, client, model, sampling)
        error = state.get("error")
        return {
            "turns": [
                {"tokens": step["tokens"], "truncated": step["is_truncated"], "said": step["completion"]}
                for step in state["trajectory"]
            ],
            "too_long": state.get("prompt_too_long", False),
            "error": repr(error.__cause__ or error) if error else None,
        }

    return {
        "chat": await rollout(QUESTION, 2),
        "interleaved": await rollout(QUESTION, 2, interleaved_rollouts=True),
        "completion": await rollout("The colour of the sky is", 1, message_type="completion"),
        "overlong": await rollout(LONG, 1),
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(*sys.argv[1:3]))))
