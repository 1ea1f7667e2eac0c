"""A real vLLM 0.33.0 was recorded: what it refuses is refused in its words, and what it takes goes on, except for what
is listed here with its reason.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from middleware.errors import Refused
from middleware.fields.chat import CHAT
from middleware.fields.completions import COMPLETIONS
from middleware.fields.edit import Editor
from middleware.fields.responses import RESPONSES
from middleware.policy import Policy
from tests.middleware.fields.serving import Recorded, bound

TABLES = {
    "/v1/chat/completions": CHAT,
    "/v1/completions": COMPLETIONS,
    "/v1/responses": RESPONSES,
}
EXCHANGES = json.loads((Path(__file__).parent / "recorded.json").read_text())

# vLLM takes these, and we cannot have SGLang do what they ask for.
NOT_TO_BE_HAD = {
    "badtype_chat_structured_outputs": "a fault of vLLM's own, which answers 500",
    "crash_chat_input_ids_oov": "SGLang's own field, which vLLM ignores; such ids kill SGLang",
    "err_regex_and_schema": "SGLang's own field, which vLLM ignores; SGLang has one constraint",
    "lora_unknown_path": "SGLang's own field, which vLLM ignores; there is no such adapter",
    "v_allowed_token_ids": "SGLang has no such mask",
    "v_bad_words": "SGLang has no such mask",
    "v_beam_search": "SGLang has no beam search on these routes",
    "v_comp_beam": "SGLang has no beam search on these routes",
    "v_prompt_logprobs": "SGLang's chat has none",
    "v_reasoning_budget": "SGLang does not count a thought's tokens",
    "v_repetition_detection": "SGLang does not look for repetitions",
    "v_repetition_penalty_big": "SGLang's are at most 2",
    "v_so_grammar_lark": "SGLang reads GBNF alone",
    "v_so_whitespace": "SGLang sets it for the whole server",
}
# vLLM refuses these for what only the engine, the tokenizer or a store can know.
ENGINES = {
    "chat_bad_schema", "chat_image_part", "v_so_bad_regex",
}  # fmt: skip
# Refused by both, in other words.
IN_OTHER_WORDS = {
    "v_body_surrogate": "vLLM stumbles over it in the tokenizer, SGLang in its JSON",
    "v_msg_content_part_bad_type": "vLLM tells what each of its forms would have needed",
    "v_msg_image_file_url": "vLLM knows that the model takes no images",
    "v_responses_missing_input": "vLLM counts a field that it has added itself",
    "v_so_bad_grammar": "vLLM tells where it is no GBNF",
}


def walked(exchange: dict[str, Any]) -> dict[str, Any] | None:
    """The error, if there is one."""
    policy = Policy(
        vocab_size=49152,
        tool_parser=exchange.get("tool_parser", True),
        reasoning_parser=exchange.get("reasoning_parser", False),
    )
    editor = Editor(bound(TABLES[exchange["path"]], Recorded()), frozenset(), policy)
    try:
        editor(exchange["body"].encode())
    except Refused as refused:
        error: dict[str, Any] = json.loads(bytes(refused.response.body))["error"]
        return error
    return None


@pytest.mark.parametrize("exchange", EXCHANGES, ids=[exchange["name"] for exchange in EXCHANGES])
def test_it_is_decided_as_vllm_does(exchange: dict[str, Any]) -> None:
    name, expected, error = exchange["name"], exchange["error"], walked(exchange)
    if name in NOT_TO_BE_HAD:
        assert error is not None
        assert expected is None
        assert error["code"] == 400
    elif name in ENGINES:
        assert error is None
    elif name in IN_OTHER_WORDS:
        assert error is not None
        assert error["code"] == expected["code"]
    else:
        assert error == expected


def test_the_lists_name_recordings() -> None:
    names = {exchange["name"] for exchange in EXCHANGES} | {"badtype_chat_structured_outputs"}
    assert set(NOT_TO_BE_HAD) | ENGINES | set(IN_OTHER_WORDS) <= names
