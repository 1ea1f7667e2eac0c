"""The text of the prompt that vLLM 0.33.0 would make of a chat request, with a model's files and the server's flags.
Made once by the caller; a render runs where it is called and does no input or output but the first reading of files.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from middleware.prompt import continuing, tools
from middleware.prompt.conversation import Message, conversation, developer_as_system
from middleware.prompt.failures import BadPrompt, CannotRender
from middleware.prompt.files import TokenizerFiles
from middleware.prompt.request import ChatPrompt
from middleware.prompt.template import ChatTemplate

UNTRUSTED = (
    "Chat template is passed with request, but --trust-request-chat-template is not set. "
    "Refused request with untrusted chat template."
)
NO_TEMPLATE = (
    "As of transformers v4.44, default chat template is no longer allowed, so you must provide a chat template if the "
    "tokenizer does not define one."
)
EMPTY = "Cannot apply chat template to an empty conversation. Provide at least one message."
NOT_COMPATIBLE = (
    "continue_final_message and add_generation_prompt are not compatible. Use continue_final_message when you want the "
    "model to continue the final message, and add_generation_prompt when you want to add a header that will prompt it "
    "to start a new assistant message instead."
)
NOT_TOOLS = (
    "Tools should either be a JSON schema, or a callable function with type hints and a docstring suitable for "
    "auto-conversion to a schema."
)
NOT_DOCUMENTS = "Documents should be a list of dicts with 'title' and 'text' keys!"
NO_MASK = "`return_assistant_tokens_mask=True` requires `return_dict=True` and `tokenize=True`"

# Arguments that transformers' own function takes and the template never sees; those of the last line have a place
# of their own.
NOT_FOR_TEMPLATES = frozenset(
    (
        *("padding", "truncation", "max_length", "return_tensors", "return_dict", "return_assistant_tokens_mask"),
        *("tokenizer_kwargs", "tokenize", "chat_template"),
        *("tools", "documents", "add_generation_prompt", "continue_final_message"),
    )
)
# Arguments that would be given twice; vLLM's words for any of them are Python's.
TWICE = "jinja2.environment.Template.render() got multiple values for keyword argument"
TAKEN = ("conversation", "self", "model_config", "tokenizer")

# Templates that came with requests and are kept compiled.
KEPT = 8

# Does a template tell a text from a list of one text? Asked with blanks around, which templates trim from texts alone.
PROBE = tuple((role, f" {role} \n") for role in ("system", "user", "assistant", "user", "assistant", "user"))


@dataclass(frozen=True, slots=True)
class Rules:
    """The server's flags, by vLLM's names and with its defaults."""

    content_format: Literal["auto", "string", "openai"] = "auto"
    default_chat_template_kwargs: Mapping[str, Any] = field(default_factory=dict)
    reasoning_effort_map: Mapping[str, str] = field(default_factory=dict)
    trust_request_chat_template: bool = False
    exclude_tools_when_tool_choice_none: bool = False


class Renderer:
    """renderer = Renderer(TokenizerFiles(folder), Rules())
    text = renderer.render(from_request(fields))   # or BadPrompt, or CannotRender
    """

    def __init__(self, files: TokenizerFiles, rules: Rules | None = None) -> None:
        self._files = files
        self._rules = rules or Rules()
        self._sent: OrderedDict[str, ChatTemplate] = OrderedDict()
        # Long conversations are rendered in threads.
        self._lock = threading.Lock()
        self._alike: bool | None = None

    def render(self, prompt: ChatPrompt) -> str:
        if prompt.continue_final_message and prompt.add_generation_prompt and prompt.messages:
            raise BadPrompt(NOT_COMPATIBLE)
        arguments = self._arguments(prompt)
        template = self._template(prompt, arguments)
        content_format = self._rules.content_format
        messages = conversation(
            prompt.messages, template.content_format if content_format == "auto" else content_format
        )
        if any(message["role"] == "developer" for message in messages) and not template.knows_developer:
            messages = developer_as_system(messages)
        if not messages:
            raise BadPrompt(EMPTY)
        return self._apply(template, messages, arguments)

    @property
    def texts_are_alike(self) -> bool:
        """Whether the server's template makes the same of a content given as a string and as vLLM gives it. If not,
        no request is rendered by SGLang as it is by vLLM, because SGLang hands on strings as strings."""
        if self._alike is None:
            self._alike = self._probe()
        return self._alike

    def _probe(self) -> bool:
        template = self._files.template(with_tools=False)
        content_format = self._rules.content_format
        if template is None or (template.content_format if content_format == "auto" else content_format) == "string":
            return True
        arguments = self._arguments(ChatPrompt(()))
        shown = []
        for first in (0, 1):  # Some templates refuse a system message.
            strings: list[Message] = [{"role": role, "content": text} for role, text in PROBE[first:]]
            lists = conversation(strings, "openai")
            shown.append([self._tried(template, messages, arguments) for messages in (strings, lists)])
        return any(of_strings for of_strings, _ in shown) and all(one == other for one, other in shown)

    def _tried(self, template: ChatTemplate, messages: list[Message], arguments: Mapping[str, Any]) -> str:
        try:
            return self._apply(template, messages, arguments)
        except BadPrompt:
            return ""

    def _arguments(self, prompt: ChatPrompt) -> dict[str, Any]:
        """Of defaults, of the request, and of what vLLM always gives, the later over the earlier."""
        rules = self._rules
        kwargs = prompt.chat_template_kwargs
        if not rules.trust_request_chat_template and (
            prompt.chat_template is not None or kwargs.get("chat_template") is not None
        ):
            raise BadPrompt(UNTRUSTED)
        given = dict(kwargs)
        effort = prompt.reasoning_effort
        if effort is not None:
            effort = rules.reasoning_effort_map.get(effort, effort)
            given["reasoning_effort"] = effort
            given.setdefault("enable_thinking", effort != "none")
        if prompt.documents is not None:
            given["documents"] = prompt.documents
        given["add_generation_prompt"] = prompt.add_generation_prompt
        given["continue_final_message"] = prompt.continue_final_message
        defaults = dict(rules.default_chat_template_kwargs)
        none = prompt.tool_choice == "none" and rules.exclude_tools_when_tool_choice_none
        if prompt.tools is not None and not none:
            defaults["tools"] = tools.dumped(prompt.tools)
        return {**defaults, **{name: value for name, value in given.items() if not _is_unset(value)}}

    def _template(self, prompt: ChatPrompt, arguments: Mapping[str, Any]) -> ChatTemplate:
        with_tools = arguments.get("tools") is not None
        sent = prompt.chat_template or (None if self._files.chat_template else arguments.get("chat_template"))
        if sent is None or sent == "":
            template = self._files.template(with_tools)
        elif isinstance(sent, str):
            template = self._files.named(sent) or self._compiled(sent)
        else:
            raise BadPrompt("chat_template: Input should be a valid string", "chat_template")
        if template is None:
            raise BadPrompt(NO_TEMPLATE)
        return template

    def _compiled(self, source: str) -> ChatTemplate:
        with self._lock:
            if source in self._sent:
                self._sent.move_to_end(source)
                return self._sent[source]
            try:
                template = ChatTemplate(source)
            except CannotRender as exc:
                raise BadPrompt(str(exc), "chat_template") from exc
            self._sent[source] = template
            if len(self._sent) > KEPT:
                self._sent.popitem(last=False)
            return template

    def _apply(self, template: ChatTemplate, messages: list[Message], arguments: Mapping[str, Any]) -> str:
        for name in TAKEN:
            if name in arguments:
                raise BadPrompt(f"{TWICE} '{name}'")
        if arguments.get("return_assistant_tokens_mask"):
            raise BadPrompt(NO_MASK)
        if "messages" in arguments and "messages" in template.variables:
            raise BadPrompt(f"{TWICE} 'messages'")
        variables = {
            **self._files.special_tokens,
            **{
                name: value
                for name, value in arguments.items()
                if name in template.variables and name not in NOT_FOR_TEMPLATES
            },
            "tools": _dicts(arguments.get("tools"), NOT_TOOLS),
            "documents": _dicts(arguments.get("documents"), NOT_DOCUMENTS),
            "add_generation_prompt": arguments["add_generation_prompt"],
        }
        if not arguments["continue_final_message"]:
            return template.render({**variables, "messages": messages})
        return continuing.render_open(
            messages, template.source, lambda marked: template.render({**variables, "messages": marked})
        )


def _is_unset(value: object) -> bool:
    return value is None or value == "auto"


def _dicts(value: Any, otherwise: str) -> Sequence[Any] | None:
    if value is None:
        return None
    if not isinstance(value, (list, tuple)):
        raise BadPrompt(f"'{type(value).__name__}' object is not iterable")
    if not all(isinstance(item, dict) for item in value):
        raise BadPrompt(otherwise)
    return value
