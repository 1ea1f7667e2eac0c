"""The served model's prompts: its chat template, looked for when the engine has become ready, and SGLang's tokenizer.
Made by `middleware.app`; asked by the preparations, and by /tokenize for a chat's ids.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from middleware import tokens
from middleware.calls import Calls
from middleware.errors import bad_request
from middleware.locate import NotHere
from middleware.model import Model
from middleware.policy import Policy
from middleware.preparation.cut import Cut
from middleware.prompt.failures import BadPrompt, CannotRender
from middleware.prompt.files import TokenizerFiles
from middleware.prompt.needs import not_text, why_render
from middleware.prompt.renderer import Renderer, Rules
from middleware.prompt.request import from_request
from middleware.prompt.traits import Traits, traits

log = logging.getLogger("middleware.preparation")

# Reasons that are logged, each once; some hold words of the client's.
SAID = 50


class Prompts:
    """prompts = Prompts(policy, model, calls)
    await prompts.warm()                   # each time the engine has become ready
    why = prompts.why(fields)              # None: SGLang shows the model what vLLM would
    text, ids = await prompts.of_chat(fields)    # or Refused, or CannotRender
    """

    __slots__ = ("_calls", "_cannot", "_files", "_model", "_policy", "_renderer", "_said", "_texts_are_alike", "traits")

    def __init__(self, policy: Policy, model: Model, calls: Calls) -> None:
        self._policy = policy
        self._model = model
        self._calls = calls
        self._files = self._tokenizer_files()
        self._renderer = Renderer(self._files, _rules(policy))
        # Anthropic's clients are told by them; of a template that cannot be read nothing is known.
        self.traits = Traits()
        self._cannot: str | None = "The model's files have not been read yet."
        self._texts_are_alike = True
        self._said: set[str] = set()

    @property
    def context(self) -> int | None:
        return self._model.context_length

    @property
    def experts_per_token(self) -> int:
        return self._model.experts_per_token

    async def warm(self) -> None:
        """Reads and compiles, in a thread. What is missing may be there the next time: SGLang downloads."""
        if self._cannot is None:
            return
        try:
            self._texts_are_alike, self.traits = await asyncio.to_thread(self._probed)
            self._cannot = None
        except CannotRender as failure:
            self._cannot = str(failure)
        except Exception:  # Whatever a model's files hold, the engine serves.
            log.exception("the chat template cannot be read")
            self._cannot = "The model's chat template cannot be read."

    def why(self, fields: Mapping[str, Any]) -> str | None:
        return why_render(fields, self._texts_are_alike)

    async def of_chat(
        self, fields: Mapping[str, Any], cut: Cut | None = None, *, long: bool = True
    ) -> tuple[str, list[int]]:
        """The text and its ids; `long` is rendered in a thread."""
        media = not_text(fields.get("messages") or ())
        if media is not None:
            raise CannotRender(f"Its messages hold {media}, which SGLang must see.")
        try:
            prompt = from_request(fields)
            self._require()
            render = self._renderer.render
            text = await asyncio.to_thread(render, prompt) if long else render(prompt)
        except BadPrompt as bad:
            raise bad_request(bad.message, bad.param) from bad
        [ids] = await self.of_texts([text], cut, special=prompt.add_special_tokens)
        return text, ids

    async def of_texts(self, texts: list[str], cut: Cut | None, *, special: bool) -> list[list[int]]:
        """vLLM's tokenizer cuts a text before it puts special tokens around, unless the request names a side."""
        whole = await tokens.of_texts(self._calls, texts, special=special)
        if cut is not None and cut.needed(whole):
            if special and not cut.sided:
                bare = await tokens.of_texts(self._calls, texts, special=False)
                whole = [cut.inside(ids, inner) for ids, inner in zip(whole, bare, strict=True)]
            else:
                whole = [cut(ids) for ids in whole]
        require_tokens(whole)
        return whole

    async def texts_of(self, prompts: list[list[int]]) -> list[str]:
        return [await tokens.text_of(self._calls, ids) for ids in prompts]

    async def ids_by_bytes(self) -> Mapping[bytes, int]:
        """Or NotHere."""
        return await asyncio.to_thread(self._model.ids_by_bytes)

    async def render(self, fields: dict[str, Any]) -> list[int] | None:
        """For /tokenize: None where SGLang's own rendering is as good, or there is no other."""
        if self.why(fields) is None:
            return None
        try:
            return (await self.of_chat(fields))[1]
        except CannotRender as failure:
            self.say(str(failure))
            return None

    def say(self, reason: str) -> None:
        if reason not in self._said and len(self._said) < SAID:
            self._said.add(reason)
            log.warning("A prompt is rendered by SGLang, and may differ from vLLM's: %s Said once.", reason)

    def _require(self) -> None:
        if self._cannot is not None:
            raise CannotRender(self._cannot)

    def _probed(self) -> tuple[bool, Traits]:
        found = traits(self._files, self._renderer, self._policy.disabled_thinking_effort)
        return self._renderer.texts_are_alike, found

    def _tokenizer_files(self) -> TokenizerFiles:
        policy, model = self._policy, self._model
        return TokenizerFiles(
            lambda: _here(model.tokenizer_folder),
            policy.chat_template or None,
            model=lambda: _here(model.folder),
            tokenizer_mode=policy.tokenizer_mode,
        )


def _here(folder: Callable[[], Path]) -> Path:
    try:
        return folder()
    except NotHere as failure:
        raise CannotRender(str(failure)) from failure


def require_tokens(prompts: list[list[int]]) -> None:
    if not all(prompts):
        raise bad_request("The decoder prompt cannot be empty")


def _rules(policy: Policy) -> Rules:
    return Rules(
        content_format=policy.content_format,  # type: ignore[arg-type]  # one of vLLM's choices
        default_chat_template_kwargs=policy.default_chat_template_kwargs,
        reasoning_effort_map=policy.reasoning_effort_map,
        trust_request_chat_template=policy.trust_request_chat_template,
        exclude_tools_when_tool_choice_none=policy.exclude_tools_when_tool_choice_none,
    )
