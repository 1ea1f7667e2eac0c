"""Rollouts by token ids with `renderers`, prime-rl's client of /inference/v1/generate: a turn, the next one built on
the ids of the first, and a prompt that is too long. Run by `tests.rl.test_clients`; prints what the client made of it.
"""

import asyncio
import json
import sys

from openai import AsyncOpenAI
from renderers import create_renderer
from renderers.base import load_tokenizer
from renderers.client import OverlongPromptError, generate

QUESTION = [{"role": "user", "content": "Name a colour: \u2603 zyzzyva"}]
SAMPLING = {"temperature": 0.0, "max_tokens": 12, "top_p": 1.0, "top_k": -1, "min_p": 0.0, "return_token_ids": True}
KEPT = ("prompt_ids", "completion_ids", "completion_logprobs", "finish_reason", "content", "request_id", "usage")


async def main(url: str, model: str, folder: str) -> dict[str, object]:
    client = AsyncOpenAI(base_url=f"{url}/v1", max_retries=0)
    renderer = create_renderer(load_tokenizer(folder), None)

    async def turn(**given: object) -> dict[str, object]:
        told = await generate(
            client=client, renderer=renderer, model=model, sampling_params=SAMPLING, cache_salt="7", **given
        )
        return {name: told[name] for name in KEPT}

    first = await turn(messages=QUESTION, extra_headers={"X-Session-ID": "rollout-1"})
    again = [*first["prompt_ids"], *first["completion_ids"], *first["prompt_ids"]]
    second = await turn(messages=QUESTION, prompt_ids=again, priority=0)
    try:
        await turn(messages=QUESTION, prompt_ids=[1] * 100_000)
    except OverlongPromptError as error:
        overlong = error.max_prompt_len
    return {"first": first, "second": second, "asked": again, "overlong": overlong}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(*sys.argv[1:4]))))
