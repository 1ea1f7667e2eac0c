"""A model's chat templates and special tokens, read from its files as transformers 5 reads them: when first asked,
each file once and none beyond a size. Made by the caller of `prompt.renderer`, one a served model.
"""

import json
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from middleware.prompt.failures import CannotRender
from middleware.prompt.special_tokens import special_tokens
from middleware.prompt.template import ChatTemplate

# The largest tokenizer_config.json known has 1.5 MB, the largest template 0.1 MB.
LARGEST = 32 * 1024 * 1024

# vLLM 0.33.0 makes the prompts of these by code of its own and not by a template.
OWN_RENDERER = frozenset(
    (
        "Alpamayo2Super",
        *("DeepseekV32ForCausalLM", "DeepseekV4ForCausalLM", "DeepseekV4ForConditionalGeneration"),
        *("DeepseekV41ForCausalLM", "GptOssForCausalLM", "InklingForCausalLM", "InklingForConditionalGeneration"),
        *("KimiK3ForConditionalGeneration", "MoonshotKimiaForCausalLM"),
    )
)
TEMPLATE_MODES = ("auto", "hf", "slow")

Folder = Path | Callable[[], Path]


class TokenizerFiles:
    """`folder` is the tokenizer's, `model` the model's where that is another one; a function is asked at first use, and
    again as long as it raises CannotRender. `chat_template` is the value of --chat-template: a file or a text.
    """

    def __init__(
        self,
        folder: Folder,
        chat_template: str | None = None,
        *,
        model: Folder | None = None,
        tokenizer_mode: str = "auto",
    ) -> None:
        self._folder_given = folder
        self._model_given = folder if model is None else model
        self._mode = tokenizer_mode
        self.chat_template = chat_template
        self._compiled: dict[str, ChatTemplate | CannotRender] = {}

    def template(self, with_tools: bool) -> ChatTemplate | None:
        """The server's, for requests with and without tools; None where nothing defines one."""
        self._check()
        if self.chat_template is not None:
            return self._compile(self._given)
        if not with_tools and self._of_processor is not None:
            return self._compile(self._of_processor)
        named = self._named
        source = named.get("tool_use", named.get("default")) if with_tools else named.get("default")
        return None if source is None else self._compile(source)

    def named(self, name: str) -> ChatTemplate | None:
        """One of several templates; a single one has no name."""
        named = self._named
        return self._compile(named[name]) if name in named and set(named) != {"default"} else None

    @cached_property
    def special_tokens(self) -> dict[str, str]:
        return special_tokens(self._config, self._document("special_tokens_map.json"))

    def _compile(self, source: str) -> ChatTemplate:
        if source not in self._compiled:
            try:
                self._compiled[source] = ChatTemplate(source)
            except CannotRender as exc:  # Kept as well: every request would find it out again.
                self._compiled[source] = exc
        compiled = self._compiled[source]
        if isinstance(compiled, CannotRender):
            raise CannotRender(*compiled.args)
        return compiled

    @cached_property
    def _folder(self) -> Path:
        return self._folder_given if isinstance(self._folder_given, Path) else self._folder_given()

    @cached_property
    def _config(self) -> dict[str, Any]:
        config = self._document("tokenizer_config.json")
        if not config and not (self._folder / "tokenizer.json").exists():
            raise CannotRender("There is neither a tokenizer_config.json nor a tokenizer.json.")
        return config

    def _check(self) -> None:
        """Raises CannotRender for models whose prompts vLLM does not make with a template."""
        if self._own is not None:
            raise CannotRender(self._own)

    @cached_property
    def _own(self) -> str | None:
        if self._mode not in TEMPLATE_MODES:
            return f"With --tokenizer-mode {self._mode} vLLM uses no chat template."
        folder = self._folder
        if (
            self._mode == "auto"
            and _any(folder, "tekken.json", "tokenizer.model.v*")
            # In the cache of a hub, weights of this kind may not have been downloaded; the hub lists them.
            and (_any(folder, "consolidated*.safetensors") or folder.parent.name == "snapshots")
        ):
            return "vLLM uses Mistral's own tokenizer, which knows no chat template."
        model = self._model_given if isinstance(self._model_given, Path) else self._model_given()
        architectures = _document(model / "config.json").get("architectures")
        for architecture in architectures if isinstance(architectures, list) else ():
            if isinstance(architecture, str) and architecture in OWN_RENDERER:
                return f"vLLM makes the prompts of {architecture} without a chat template."
        return None

    @cached_property
    def _given(self) -> str:
        """The text behind --chat-template, which is a file if it can be read as one."""
        given = self.chat_template or ""
        if any(character in given for character in "{}\n"):
            return given
        return _text(Path(given))

    @cached_property
    def _named(self) -> dict[str, str]:
        """The tokenizer's templates; files go before the configuration."""
        named = dict(self._files())
        if named:
            return named
        value = self._config.get("chat_template")
        if value is None:
            return {}
        if isinstance(value, str):
            return {"default": value}
        if isinstance(value, list) and all(isinstance(item, dict) for item in value):
            value = {item.get("name"): item.get("template") for item in value}
        if isinstance(value, dict) and all(isinstance(text, str) for pair in value.items() for text in pair):
            return value
        raise CannotRender("The chat_template in tokenizer_config.json is neither a text nor a list of named texts.")

    def _files(self) -> Iterator[tuple[str, str]]:
        if (single := self._folder / "chat_template.jinja").is_file():
            yield "default", _text(single)
        for file in sorted((self._folder / "additional_chat_templates").glob("*.jinja")):
            yield file.stem, _text(file)

    @cached_property
    def _of_processor(self) -> str | None:
        """A multimodal model's processor may have a template of its own; vLLM prefers it while there are no tools."""
        if not any((self._folder / name).is_file() for name in ("processor_config.json", "preprocessor_config.json")):
            return None
        own = self._document("processor_config.json").get("chat_template")
        value = self._document("chat_template.json").get("chat_template") if own is None else own
        return value if isinstance(value, str) else None

    def _document(self, name: str) -> dict[str, Any]:
        return _document(self._folder / name)


def _any(folder: Path, *patterns: str) -> bool:
    return any(True for pattern in patterns for _ in folder.glob(pattern))


def _document(path: Path) -> dict[str, Any]:
    """An absent file says as much as an empty object."""
    if not path.exists():
        return {}
    try:
        value = json.loads(_text(path))
    except (ValueError, RecursionError) as exc:
        raise CannotRender(f"{path.name} is no JSON: {exc}") from exc
    if not isinstance(value, dict):
        raise CannotRender(f"{path.name} is no JSON object.")
    return value


def _text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(LARGEST + 1)
    except (OSError, ValueError) as exc:
        raise CannotRender(f"{path.name} cannot be read: {exc}") from exc
    if len(text) > LARGEST:
        raise CannotRender(f"{path.name} is larger than {LARGEST} bytes.")
    return text
