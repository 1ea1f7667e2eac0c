"""Turns of `verifiers` 0.4: its TrainClient, which renders and asks for ids, and its EvalClient, which relays chats.
Run by `tests.rl.test_clients`; prints what the clients made of it.
"""

import asyncio
import json
import sys

from verifiers.v1.clients import resolve_client
from verifiers.v1.configs.client import EvalClientConfig, TrainClientConfig
from verifiers.v1.dialects import ChatDialect
from verifiers.v1.errors import ProviderError
from verifiers.v1.types import SamplingConfig

QUESTION = [{"role": "user", "content": "Name a colour."}]
LONG = [{"role": "user", "content": "colour " * 5000}]


async def main(url: str, model: str, folder: str) -> dict[str, object]:
    endpoint = {"base_url": f"{url}/v1", "api_key_var": "OPENAI_API_KEY"}
    train = resolve_client(TrainClientConfig(**endpoint, renderer_model_name=folder))
    evaluated = resolve_client(EvalClientConfig(**endpoint))

    async def turn(client: object, messages: list[object], **sampling: object) -> dict[str, object]:
        sampling = {"temperature": 0.0, "max_tokens": 12, **sampling}
        body = {"model": model, "messages": messages, **sampling}
        try:
            told = await client.get_response(ChatDialect(), body, SamplingConfig(**sampling), session_id="rollout-1")
        except ProviderError as error:
            return {"status": error.status_code, "message": str(error)}
        tokens = told.tokens.model_dump() if told.tokens is not None else {}
        usage = told.usage.model_dump()
        return {"finish": told.finish_reason, "text": told.message.content, "tokens": tokens, "usage": usage}

    async def relayed() -> str:
        body = {"model": model, "messages": QUESTION, "max_tokens": 4, "stream": True, "temperature": 0.0}
        reply = await evaluated.relay(ChatDialect(), body, session_id="rollout-1")
        content = b"".join([chunk async for chunk in reply.chunks])
        await reply.close()
        return content.decode()

    return {
        "train": await turn(train, QUESTION),
        "eval": await turn(evaluated, QUESTION),
        "train_overlong": await turn(train, LONG),
        "eval_overlong": await turn(evaluated, LONG),
        "relayed": await relayed(),
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(*sys.argv[1:4]))))
