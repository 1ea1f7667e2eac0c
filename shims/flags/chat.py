"""Chat templates: how a conversation becomes a prompt, and what a request may change about it."""

from __future__ import annotations

from typing import Any

from shims.flags.answers import not_served_yet
from shims.flags.draft import Draft, PlanFile
from shims.flags.record import Flag, Outcome, already, convert, invalid, ours, refused
from shims.values.shapes import compact

JINJA_MARKS = "{}\n"  # vLLM's own test: a template that is no file must hold one of these
RENDERED_TEMPLATE = "chat_template.jinja"


def chat_template(draft: Draft, value: str) -> Outcome:
    """SGLang 0.5.23 reads only *.jinja as Jinja (other files as JSON), takes the names of its built-in
    conversations first, and takes no inline template."""
    if any(mark in value for mark in JINJA_MARKS):
        draft.files.append(PlanFile(RENDERED_TEMPLATE, text=value))
        note = "the inline template becomes a file"
    elif value.endswith(".jinja") and "/" in value:
        return draft.emit("--chat-template", value, action="same")
    else:
        draft.files.append(PlanFile(RENDERED_TEMPLATE, source=value))
        note = f"a copy of {value}: SGLang reads only *.jinja as Jinja"
    return draft.emit("--chat-template", f"{draft.facts.run_dir}/{RENDERED_TEMPLATE}", note=note)


def content_format(draft: Draft, value: str) -> Outcome:
    if value == "auto":
        return already("SGLang finds the format in the template, as vLLM does")
    if value == "openai":
        return refused("SGLang gives the template what the template asks for; leave it out if its parts are read there")
    draft.ask(flatten_text_content=True)
    return not_served_yet(draft, "--chat-template-content-format string", "one text made of a message's text parts is")


def request_chat_template(draft: Draft, value: bool) -> Outcome:
    draft.ask(trust_request_chat_template=value)
    if not value:
        return already("off by default: a request that brings a template is refused")
    return draft.emit("--trust-request-chat-template", note="the middleware passes on the templates of requests")


def request_mm_kwargs(draft: Draft, value: bool) -> Outcome:
    draft.ask(trust_request_mm_kwargs=value)
    if not value:
        return already("off by default: a request that brings some is refused")
    return Outcome(
        "ours", "the middleware passes them on", "SGLang follows mm_processor_kwargs, and not media_io_kwargs"
    )


def template_kwargs(draft: Draft, value: Any) -> Outcome:
    if not isinstance(value, dict):
        return invalid('give a JSON object such as {"enable_thinking": false}')
    return draft.emit("--default-chat-template-kwargs", compact(value)) if value else already("nothing is set")


FLAGS: tuple[Flag, ...] = (
    convert("--chat-template", chat_template, to="--chat-template"),
    convert(
        "--chat-template-content-format",
        content_format,
        to="auto is accepted, openai refused; string is for the middleware",
    ),
    convert("--trust-request-chat-template", request_chat_template, to="--trust-request-chat-template"),
    ours("--trust-request-mm-kwargs", request_mm_kwargs, to="the middleware refuses them by default"),
    convert("--default-chat-template-kwargs", template_kwargs, to="--default-chat-template-kwargs"),
)
