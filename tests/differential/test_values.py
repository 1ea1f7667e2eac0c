"""The same model says the same to the same prompt at temperature 0: then texts, tokens, ids, ends and counts are equal,
and not only of one shape."""

from __future__ import annotations

import pytest

from tests.differential.accepted import ACCEPTED
from tests.differential.difference import Difference
from tests.differential.groups import GROUPS
from tests.differential.replay import TOGETHER
from tests.differential.test_differential import Replays, replays  # noqa: F401  # a fixture
from tests.differential.values import comparable, values
from tests.differential.wire import Judged, judged

# The model says another thing in SGLang: by the reason, and no name stands here that says the same.
ANOTHER: dict[str, str] = {
    "where two words were about as likely, the other was taken": """
        chat_ignore_eos chat_min_tokens chat_structural_tag chat_tools_no_parser v_msg_content_part_refusal v2_conc_0
        tools_auto_stream tools_none v_tools_auto_explicit v_tools_choice_null v_tools_noparser_none
    """,
    "a grammar lets the model choose among blanks and words, and the other allows others": """
        chat_json_object chat_json_schema chat_json_schema_stream v_so_json v_so_json_object v_rf_strict_false
        v_rf_structural_tag_new tools_named tools_named_stream tools_required tools_required_and_schema
        tools_required_ids tools_required_stream v_tools_named_null_args v_tools_required_parallel_false
        v_tools_no_parameters v_tools_two_required v2_tools_required_full v2_tools_required_strict
        v2_tools_required_full_stream v2_tools_named_full_stream v2_tools_required_strict_stream
        v2_tools_required_length v2_tools_logprobs
    """,
    "vLLM 0.33 ignores these fields, of an older one and of SGLang's own, and here they hold": """
        chat_ebnf chat_regex completions_json_schema completions_regex chat_guided_json_vllm_name v_guided_json
        v_guided_regex v_guided_choice v_guided_grammar lora_path_field
    """,
    "the adapter of noise was another one in vLLM": "lora_model_name_only v_lora_chat v_lora_completions",
    "docs/compatibility.md names it: thoughts, and the room that SGLang keeps": """
        reasoning_not_separated v_reasoning_thinking_off v_reasoning_effort_none v_comp_max_tokens_over_room
        v_comp_truncate_neg1
    """,
}
ANOTHER_WORD = frozenset(name for names in ANOTHER.values() for name in names.split())


def _is_served_by_both(entry: Judged) -> bool:
    if entry.name in TOGETHER:
        return False
    refused = Difference(entry.name, "status", "status", "", "")
    return comparable(entry) and not any(accepted.covers(refused, entry) for accepted in ACCEPTED)


SERVED = [(group, name) for group in GROUPS for name, entry in judged(group).items() if _is_served_by_both(entry)]
REQUESTS = [pytest.param(*one, id="-".join(one)) for one in SERVED if one[1] not in ANOTHER_WORD]


@pytest.mark.parametrize(("group", "name"), REQUESTS)
def test_a_client_reads_what_vllm_said(replays: Replays, group: str, name: str) -> None:  # noqa: F811
    run = replays[group]
    assert values(run.answers[name]) == values(run.entries[name].answer)


def test_what_is_not_compared_says_another_thing(replays: Replays) -> None:  # noqa: F811
    """Whatever says the same by now is held to it: its name must go from the list."""
    runs = [(name, replays[group]) for group, name in SERVED if name in ANOTHER_WORD]
    same = {name for name, run in runs if values(run.answers[name]) == values(run.entries[name].answer)}
    assert same == set()
    assert {name for name, _ in runs} == ANOTHER_WORD


def test_most_requests_are_compared() -> None:
    names = {request.values[1] for request in REQUESTS}
    assert len(REQUESTS) > 4 * len(ANOTHER_WORD)
    assert names >= {"v_echo", "v_comp_echo_max_tokens0", "v_comp_echo_logprobs0", "v_comp_return_tokens_as_token_ids"}
    assert names >= {"v_return_tokens_as_token_ids_stream", "completions_echo_logprobs", "v_stop_token_id_stream"}
