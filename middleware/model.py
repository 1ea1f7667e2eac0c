"""The model that is served: its names, its adapters, and what SGLang tells of it each time it becomes ready.
Filled by `middleware.watch` before the engine counts as ready; asked by the endpoints and by `middleware.front`.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from middleware import model_files, tasks
from middleware.adapters import Adapters
from middleware.fields.names import no_such_model
from middleware.locate import Locator, NotHere
from middleware.settings import Settings
from middleware.tasks import Task

log = logging.getLogger("middleware.model")


class Model:
    """model = Model(settings)
    await model.learn(cards, info)    # SGLang's /v1/models and /model_info
    model.require("name")             # or Refused, in vLLM's words
    """

    __slots__ = (
        "_any_name",
        "_by_bytes",
        "_experts_are_told",
        "_locator",
        "_named",
        "_path",
        "_task",
        "_tokenizer",
        "_vocabulary",
        "_words",
        "adapters",
        "context_length",
        "experts_per_token",
        "names",
        "path",
        "place",
        "tasks",
        "tokenizer_path",
        "vocabulary",
    )

    def __init__(self, settings: Settings) -> None:
        policy = settings.policy
        self._named = settings.served_model_names
        self._any_name = policy.any_model_name
        self._locator = Locator(policy)
        self._path = policy.model_path
        self._tokenizer = policy.tokenizer or policy.model_path
        self._task = tasks.of_word(policy.task)
        self._vocabulary = policy.vocab_size or 0
        self.vocabulary = self._vocabulary  # 0: not known
        self.names = self._named
        self.adapters = Adapters(dict.fromkeys(policy.adapters, ""))
        self.path = self._path
        # Where SGLang has it: of a model in a bucket, a folder.
        self.place = ""
        self.tokenizer_path = ""
        self.context_length: int | None = None
        self._experts_are_told = policy.routed_experts
        self.experts_per_token = 0  # 0: not known
        self.tasks = self._task
        self._words: dict[int, str] | None = None
        self._by_bytes: dict[bytes, int] | None = None

    def rename(self, names: tuple[str, ...]) -> None:
        """By a reload of several models' specification."""
        self._named = self.names = names

    def words(self) -> dict[int, str]:
        """The tokenizer's writing of each id, read once; it takes a while, and is not for the event loop."""
        if self._words is None:
            self._words = model_files.words(self.tokenizer_folder())
        return self._words

    def ids_by_bytes(self) -> dict[bytes, int]:
        """The ids of tokens by what they spell, of a tokenizer that tells bytes; read once, and as slowly."""
        if self._by_bytes is None:
            self._by_bytes = model_files.ids_by_bytes(self.tokenizer_folder())
        return self._by_bytes

    def folder(self) -> Path:
        """Where the command line says, or where SGLang has put it: a bucket's objects, say. Or NotHere."""
        return self._locator.folder(self._path, self.place)

    def tokenizer_folder(self) -> Path:
        return self._locator.folder(self._tokenizer, self.tokenizer_path)

    async def learn(self, cards: Sequence[Mapping[str, Any]], info: dict[str, Any]) -> None:
        """A card without a parent is the model's; SGLang has one name for it, and the settings may have more."""
        base = next((card for card in cards if card.get("parent") is None), {})
        named, place = _text(base, "id"), _text(info, "model_path") or _text(base, "root")
        # 0.5.23 calls the model by the folder that its weights were last loaded from: it is still the one that it was.
        self.names = self._named or (self.names if named == place and self.names else (named,) if named else ())
        self.place = await asyncio.to_thread(_home, place, _text(info, "tokenizer_path"))
        self.path = self._path or self.place
        self.tokenizer_path = _text(info, "tokenizer_path") or self.path
        length = base.get("max_model_len")
        self.context_length = length if isinstance(length, int) else None
        self.tasks = self._task or tasks.of_engine(info)
        self.adapters.reset(
            {_text(card, "id"): _text(card, "root") for card in cards if card.get("parent") is not None}
        )
        self.vocabulary = self._vocabulary or await asyncio.to_thread(self._vocabulary_of_files)
        if self._experts_are_told:
            self.experts_per_token = await asyncio.to_thread(self._experts_of_files)

    def _vocabulary_of_files(self) -> int:
        try:
            return model_files.vocabulary_size(self.folder())
        except NotHere as failure:
            log.warning("Token ids in requests are not held against the vocabulary, whose size is unknown: %s", failure)
            return 0

    def _experts_of_files(self) -> int:
        try:
            return model_files.experts_per_token(self.folder())
        except NotHere as failure:
            log.warning("Routed experts are not told, because nobody knows how many there are: %s", failure)
            return 0

    def serves(self, task: Task | None) -> bool:
        """Whether a route for this task exists; nothing is held back while nobody has said what the model is for."""
        return task is None or self.tasks is None or task in self.tasks

    def is_base(self, name: str) -> bool:
        return name in self.names

    @property
    def shadow(self) -> str:
        """The name of the model under which an adapter answers, as prime-rl loads it; empty: none does."""
        return next((name for name in self.names if name in self.adapters), "")

    def knows(self, name: str | None) -> bool:
        """As vLLM, for which no name is the model's."""
        return not name or self._any_name or not self.names or name in self.names or name in self.adapters

    def require(self, name: str | None) -> None:
        if not self.knows(name):
            raise no_such_model(name or "", self.names)

    def answering(self, name: str | None) -> str:
        """The name in an answer that is not generated: the adapter's, or the model's first."""
        if name and name in self.adapters:
            return name
        return self.names[0] if self.names else name or ""

    def adapter(self, name: str | None) -> str | None:
        """What SGLang calls the adapter that the name selects, which stays there for the request that asks."""
        return self.adapters.use(name)


def _home(place: str, tokenizer: str) -> str:
    """A folder of weights alone, as a trainer writes it, is no model's: the tokenizer's is the one of the start."""
    weights_alone = bool(tokenizer) and Path(place).is_dir() and not Path(place, "config.json").is_file()
    return tokenizer if weights_alone else place


def _text(of: Mapping[str, Any], name: str) -> str:
    value = of.get(name)
    return value if isinstance(value, str) else ""
