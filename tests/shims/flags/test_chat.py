"""Chat templates and what requests may change about them."""

from __future__ import annotations

import pytest

from shims.exceptions import Refused
from shims.flags.draft import PlanFile
from tests.shims.conftest import MakePlan
from tests.shims.flags.test_model import value

RUN = "/tmp/vllm-shim"


@pytest.mark.parametrize(
    ("given", "expected", "files"),
    [
        ("/t/a.jinja", "/t/a.jinja", ()),
        ("a.jinja", f"{RUN}/chat_template.jinja", (PlanFile("chat_template.jinja", source="a.jinja"),)),
        ("/t/a.txt", f"{RUN}/chat_template.jinja", (PlanFile("chat_template.jinja", source="/t/a.txt"),)),
        ("{{ x }}", f"{RUN}/chat_template.jinja", (PlanFile("chat_template.jinja", text="{{ x }}"),)),
    ],
)
def test_a_template_is_a_file_that_sglang_reads_as_jinja(
    given: str, expected: str, files: tuple[PlanFile, ...], make_plan: MakePlan
) -> None:
    made = make_plan("serve", "m", "--chat-template", given)
    assert value(made, "--chat-template") == expected
    assert made.files == files
    assert made.policy.chat_template == expected


@pytest.mark.parametrize("content_format", ["auto", "string", "openai"])
def test_the_middleware_is_told_what_the_template_takes(content_format: str, make_plan: MakePlan) -> None:
    made = make_plan("serve", "m", "--chat-template-content-format", content_format)
    assert made.policy.content_format == content_format
    assert made.warnings == ()


def test_requests_bring_templates_and_processor_arguments_only_if_trusted(make_plan: MakePlan) -> None:
    trusting = make_plan("serve", "m", "--trust-request-chat-template", "--trust-request-mm-kwargs")
    assert trusting.policy.trust_request_chat_template
    assert trusting.policy.trust_request_mm_kwargs
    assert value(trusting, "--trust-request-chat-template") == ""
    plain = make_plan("serve", "m", "--no-trust-request-chat-template", "--no-trust-request-mm-kwargs")
    assert not plain.policy.trust_request_chat_template
    assert not plain.policy.trust_request_mm_kwargs
    assert value(plain, "--trust-request-chat-template") is None


def test_arguments_of_the_template_are_a_json_object(make_plan: MakePlan) -> None:
    made = make_plan("serve", "m", "--default-chat-template-kwargs", '{"enable_thinking":\n false}')
    assert value(made, "--default-chat-template-kwargs") == '{"enable_thinking":false}'
    assert made.policy.default_chat_template_kwargs == {"enable_thinking": False}
    assert (
        value(make_plan("serve", "m", "--default-chat-template-kwargs", "{}"), "--default-chat-template-kwargs") is None
    )
    with pytest.raises(Refused, match="JSON object"):
        make_plan("serve", "m", "--default-chat-template-kwargs", "[]")
