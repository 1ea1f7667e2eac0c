"""What vLLM 0.33.0 finds out about a server's chat template by trying it, for the requests of Anthropic's clients
(entrypoints/anthropic/serving.py). Made by `preparation.prompts` when the template has been read.
"""

from dataclasses import dataclass

import jinja2
import jinja2.ext
import jinja2.sandbox

from middleware.prompt.failures import BadPrompt
from middleware.prompt.files import TokenizerFiles
from middleware.prompt.renderer import Renderer
from middleware.prompt.request import ChatPrompt

AUTO = "auto"
NO_EFFORT = "none"
LEAST_EFFORT = "low"
EFFORTS = (LEAST_EFFORT, "medium", "high", "xhigh", "max")

_IN_BETWEEN = [{"role": role, "content": "t"} for role in ("system", "user", "system", "user")]
_HI = ({"role": "user", "content": "Hi"},)


@dataclass(frozen=True, slots=True)
class Traits:
    """Of a server that has no template to try, as by default."""

    # The template takes a system's message at the beginning alone.
    system_first: bool = True
    # The effort for a request that wants no thoughts.
    disabled_effort: str = NO_EFFORT


def traits(files: TokenizerFiles, renderer: Renderer, disabled_effort: str = AUTO) -> Traits:
    """The effort is --anthropic-disabled-thinking-effort; or CannotRender."""
    templates = [files.template(with_tools) for with_tools in (False, True)]
    return Traits(
        system_first=any(each is None or _wants_system_first(each.source) for each in templates),
        disabled_effort=_disabled_effort(renderer) if disabled_effort == AUTO else disabled_effort,
    )


def _wants_system_first(source: str) -> bool:
    """In jinja's bare sandbox, as vLLM tries it: a template that calls what is not there wants it too."""
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[jinja2.ext.loopcontrols]
    )
    try:
        environment.from_string(source).render(messages=_IN_BETWEEN, add_generation_prompt=False)
    except Exception:  # vLLM catches jinja's own; whatever else a template runs into would end its start.
        return True
    return False


def _disabled_effort(renderer: Renderer) -> str:
    """Where "none" is refused, or is the same to the template as some effort, the least there is."""
    nothing = _shown(renderer, NO_EFFORT)
    if nothing is None or any(_shown(renderer, effort) == nothing for effort in EFFORTS):
        return LEAST_EFFORT
    return NO_EFFORT


def _shown(renderer: Renderer, effort: str) -> str | None:
    try:
        return renderer.render(ChatPrompt(_HI, reasoning_effort=effort))
    except BadPrompt:
        return None
