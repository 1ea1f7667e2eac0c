"""Chat templates: how a conversation becomes a prompt, and what a request may change about it."""

from __future__ import annotations

from typing import Any

from shims.flags.draft import Draft, PlanFile
from shims.flags.record import Flag, Outcome, already, convert, invalid, ours
from shims.values.shapes import compact

JINJA_MARKS = "{}\n"  # vLLM's own test: a template that is no file must hold one of these
RENDERED_TEMPLATE = "chat_template.jinja"
FORMATS = {"string": "a message's text parts as one text", "openai": "a message's parts as a list"}


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
    draft.ask(content_format=value)
    if value == "auto":
        return already("found in the template, as vLLM does")
    return Outcome("ours", f"the middleware gives the template {FORMATS[value]}", "beside media SGLang decides")


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
    draft.ask(default_chat_template_kwargs=value)
    return draft.emit("--default-chat-template-kwargs", compact(value)) if value else already("nothing is set")


FLAGS: tuple[Flag, ...] = (
    convert("--chat-template", chat_template, to="--chat-template"),
    ours("--chat-template-content-format", content_format, to="the middleware gives the template what it names"),
    convert("--trust-request-chat-template", request_chat_template, to="--trust-request-chat-template"),
    ours("--trust-request-mm-kwargs", request_mm_kwargs, to="the middleware refuses them by default"),
    convert("--default-chat-template-kwargs", template_kwargs, to="--default-chat-template-kwargs"),
)
