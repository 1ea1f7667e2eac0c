"""New weights from a folder: looked at, loaded by SGLang while it stands still, one load at a time.
Made by `middleware.app`, ordered by `middleware.endpoints.weights` and `rpc`.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import msgspec

from middleware.dialect.scrub import scrubbed
from middleware.errors import Refused, bad_request, error
from middleware.locate import NotHere
from middleware.model import Model
from middleware.together import Together
from middleware.upstream import UpstreamError
from middleware.weights import files
from middleware.weights.files import NotThere, Unfit
from middleware.weights.kept import DEFAULT_VERSION, Kept, refusal
from middleware.weights.pause import Pause

log = logging.getLogger("middleware.weights")

LOAD = "/update_weights_from_disk"
# Below haproxy's hour, and above any client's patience: prime-rl waits 720 s a try.
LOAD_SECONDS = 3500.0
# What SGLang 0.5.23 says of weights that it will never take; anything else is worth another try.
_PERMANENT = re.compile(r"Failed to get model loader|not supported|Unsupported|unexpected shape|size mismatch")


class _Outcome(msgspec.Struct):
    success: bool
    message: str = ""


class Updates:
    """await updates.load("/data/step_12")    # or Refused; a client that leaves changes nothing
    await updates.reload()                    # the weights of the start
    await updates.restore(info)               # of an SGLang that was started again; why it could not be, or nothing
    """

    __slots__ = ("_control", "_kept", "_loading", "_model", "_pause", "last", "then")

    def __init__(self, pause: Pause, model: Model, control: httpx.AsyncClient) -> None:
        self.last = ""  # the version that was loaded since SGLang's start
        self.then: Callable[[], Awaitable[None]] | None = None  # a sleep that waits for weights
        self._pause = pause
        self._model = model
        self._control = control
        self._kept = Kept()
        self._loading = Together()

    async def load(self, name: str) -> None:
        try:
            place = files.folder(name)
        except Unfit as failure:
            raise bad_request(f"The weights were not updated: {failure}.") from failure
        await self._loading(place, partial(self._load, place, place.name or DEFAULT_VERSION))

    async def reload(self) -> None:
        try:
            place = await asyncio.to_thread(self._model.folder)
        except NotHere as failure:
            raise Refused(error(500, f"The weights were not reloaded: {failure}")) from failure
        await self._loading(place, partial(self._load, place, DEFAULT_VERSION))

    def versioned(self, version: str) -> None:
        """The weights that SGLang has are called so from now on."""
        self.last = version
        self._kept.rename(version)

    async def _load(self, place: Path, version: str) -> None:
        await self._pause.engine_is_back()
        await self._look(place)
        async with self._pause.held(f"its weights become {version!r}"):
            try:
                await self._order(place, version)
            except httpx.HTTPError as failure:
                words = f"The engine failed while it loaded weights ({type(failure).__name__}). Please retry."
                raise Refused(error(502, words)) from failure
            self.last = version
            self._kept.note(place, version)
            self._pause.has_weights()
            log.info("SGLang has loaded the weights of %s (version %r)", place, version)
        if self.then is not None:
            await self.then()

    async def _order(self, place: Path, version: str) -> None:
        """SGLang has loaded them, or Refused."""
        # Without a flush: what runs goes on with the keys and values that it has, as in vLLM.
        body = {
            "model_path": str(place),
            "flush_cache": False,
            "abort_all_requests": False,
            "weight_version": version,
            "torch_empty_cache": True,
        }
        answer = await self._control.post(LOAD, json=body, timeout=LOAD_SECONDS)
        try:
            outcome = msgspec.json.decode(answer.content, type=_Outcome)
        except (msgspec.DecodeError, UnicodeDecodeError) as failure:
            words = f"The engine's answer about its weights cannot be read (status {answer.status_code})."
            raise Refused(error(502, words)) from failure
        if answer.status_code != HTTPStatus.OK or not outcome.success:
            log.warning("SGLang did not load %s: %.500r", place, outcome.message)
            status = 400 if _PERMANENT.search(outcome.message) else 500
            words = scrubbed(outcome.message) or "it does not say why"
            raise Refused(error(status, f"The engine did not load the weights: {words}"))

    async def restore(self, info: Mapping[str, Any]) -> str:
        """Before its first request: a trainer would not notice that its rollouts are by the weights of the start."""
        lost = self._kept.lost(info, await asyncio.to_thread(self._home))
        if lost is None:
            return ""
        log.warning("SGLang was started again, and is given the weights of %s again", lost.place)
        try:
            await self._look(lost.place)
            await self._order(*lost)
        except httpx.HTTPError as failure:
            raise UpstreamError(f"it failed while it loaded weights ({type(failure).__name__})") from failure
        except Refused as failure:
            told = refusal(lost, failure.sentence)
            log.error("%s", told)  # noqa: TRY400 - what happened is said in the sentence
            return told
        log.info("SGLang has loaded the weights of %s again (version %r)", *lost)
        return ""

    async def _look(self, place: Path) -> None:
        try:
            await asyncio.to_thread(lambda: files.require(place, self._home()))
        except NotThere as failure:
            raise Refused(error(500, f"The weights were not updated: {failure}. Please retry.")) from failure
        except Unfit as failure:
            raise bad_request(f"The weights were not updated: {failure}.") from failure

    def _home(self) -> Path | None:
        try:
            return self._model.folder()
        except NotHere:
            return None
