"""The same model says the same to the same prompt at temperature 0: then texts, tokens, ids, ends and counts are equal,
and not only of one shape."""

from __future__ import annotations

import fnmatch

import pytest

from tests.differential.accepted import ACCEPTED
from tests.differential.difference import Difference
from tests.differential.groups import GROUPS
from tests.differential.replay import TOGETHER
from tests.differential.test_differential import Replays, replays  # noqa: F401  # a fixture
from tests.differential.values import comparable, values
from tests.differential.wire import Judged, judged

# The model's next word was another in SGLang, where two were about as likely, or a grammar allows other blanks; the
# first difference is the model's in each of these, and all else follows from it.
ANOTHER_WORD = (
    *("chat_ebnf", "chat_guided_json_vllm_name", "chat_ignore_eos", "chat_json_*", "chat_min_tokens", "chat_regex"),
    *("chat_structural_tag", "chat_tools_no_parser", "completions_json_schema", "completions_regex", "tools_*"),
    *("lora_*", "v_lora_*", "v_msg_content_part_refusal", "v_so_json*", "v_guided_*", "v_rf_st*", "v_tools_*"),
    *("v2_tools_*", "v2_conc_0", "reasoning_not_separated", "v_reasoning_*"),
    *("v_comp_max_tokens_over_room", "v_comp_truncate_neg1"),  # And SGLang keeps some of the room.
)


def _is_compared(entry: Judged) -> bool:
    if entry.name in TOGETHER or any(fnmatch.fnmatch(entry.name, one) for one in ANOTHER_WORD):
        return False
    refused = Difference(entry.name, "status", "status", "", "")
    return comparable(entry) and not any(accepted.covers(refused, entry) for accepted in ACCEPTED)


REQUESTS = [
    pytest.param(group, name, id=f"{group}-{name}")
    for group in GROUPS
    for name, entry in judged(group).items()
    if _is_compared(entry)
]


@pytest.mark.parametrize(("group", "name"), REQUESTS)
def test_a_client_reads_what_vllm_said(replays: Replays, group: str, name: str) -> None:  # noqa: F811
    run = replays[group]
    assert values(run.answers[name]) == values(run.entries[name].answer)


def test_most_requests_are_compared() -> None:
    names = {request.values[1] for request in REQUESTS}
    assert len(REQUESTS) > 200
    assert names >= {"v_echo", "v_comp_echo_max_tokens0", "v_comp_echo_logprobs0", "v_comp_return_tokens_as_token_ids"}
    assert names >= {"v_return_tokens_as_token_ids_stream", "completions_echo_logprobs", "v_stop_token_id_stream"}
