"""One chat template, compiled as transformers 5 compiles it: the same sandbox, filters, globals and tags.
Made by `prompt.files` and, of templates that come with a request, by `prompt.renderer`.
"""

import json
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cached_property
from typing import Any

import jinja2
import jinja2.ext
import jinja2.meta
import jinja2.nodes
import jinja2.parser
import jinja2.sandbox

from middleware.prompt.content_format import detect
from middleware.prompt.conversation import Format
from middleware.prompt.failures import BadPrompt, CannotRender

# vLLM's own time limit is 30 s; here a render holds up every other request.
SECONDS = 5.0
# Beyond any context; a template that repeats what it is given must not fill the memory.
CHARACTERS = 64 * 1024 * 1024


class _Generation(jinja2.ext.Extension):
    """`{% generation %}`, which marks the assistant's words for training. A call block and not its bare body: what
    is `set` inside stays inside."""

    tags = {"generation"}  # noqa: RUF012 - as jinja2 declares it

    def parse(self, parser: jinja2.parser.Parser) -> jinja2.nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_said"), [], [], body).set_lineno(line)

    def _said(self, caller: Callable[[], str]) -> str:
        return caller()


def _environment() -> jinja2.Environment:
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=[_Generation, jinja2.ext.loopcontrols],
    )
    environment.filters["tojson"] = _tojson
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = _strftime_now
    return environment


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Jinja's own writes `<` as an escape, for HTML."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise_exception(message: str) -> None:
    raise jinja2.TemplateError(message)


def _strftime_now(form: str) -> str:
    return datetime.now().strftime(form)  # noqa: DTZ005 - local time, as transformers has it


class ChatTemplate:
    """template = ChatTemplate(source)     # or CannotRender
    text = template.render(variables)      # or BadPrompt
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self._environment = _environment()
        try:
            self._compiled = self._environment.from_string(source)
            # Names that the template does not set itself; of a request's arguments, no others reach it.
            self.variables = frozenset(jinja2.meta.find_undeclared_variables(self._environment.parse(source)))
        except Exception as exc:  # Not only jinja's: Python compiles what jinja makes of it.
            raise CannotRender(f"The chat template cannot be compiled: {exc}") from exc

    @cached_property
    def content_format(self) -> Format:
        return detect(self._environment.parse(self.source))

    @property
    def knows_developer(self) -> bool:
        """Whether the template names the role in a literal, which is where vLLM looks."""
        return '"developer"' in self.source or "'developer'" in self.source

    def render(self, variables: Mapping[str, Any], seconds: float = SECONDS) -> str:
        deadline = time.monotonic() + seconds
        pieces: list[str] = []
        characters = 0
        try:
            for piece in self._compiled.generate(variables):
                pieces.append(piece)
                characters += len(piece)
                if characters > CHARACTERS or time.monotonic() > deadline:
                    break
            else:
                return "".join(pieces)
        except Exception as exc:  # Whatever a template runs into is the request's fault to vLLM.
            raise BadPrompt(reason(exc)) from exc
        raise BadPrompt("The chat template takes too long or writes too much for this request.")


def reason(error: BaseException) -> str:
    """Of an error and what caused it, the first that the template raised itself."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        if isinstance(current, jinja2.TemplateError):
            return str(current)
        seen.add(id(current))
        current = current.__cause__ or current.__context__
    return str(error)
