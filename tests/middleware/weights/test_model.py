"""What the model is called and where it lies, also when SGLang calls itself by the folder of its last weights."""

from __future__ import annotations

import asyncio
from pathlib import Path

from middleware.model import Model
from middleware.settings import Settings
from tests.middleware.weights.folders import write_weights


def learned(model: Model, name: str, info: dict[str, str]) -> Model:
    asyncio.run(model.learn([{"id": name, "root": name, "parent": None}], info))
    return model


def test_a_folder_of_weights_alone_is_not_where_the_model_is(tmp_path: Path) -> None:
    start, step = (write_weights(tmp_path / name) for name in ("start", "step_1"))
    (start / "config.json").write_text("{}")
    model = Model(Settings(upstream_host="h", upstream_port=1))
    learned(model, "m", {"model_path": str(start), "tokenizer_path": str(start)})
    learned(model, str(step), {"model_path": str(step), "tokenizer_path": str(start)})
    assert model.names == ("m",)
    assert model.folder() == model.tokenizer_folder() == start


def test_what_was_never_called_otherwise_is_called_as_sglang_calls_it(tmp_path: Path) -> None:
    model = Model(Settings(upstream_host="h", upstream_port=1))
    assert learned(model, "org/m", {"model_path": "org/m"}).names == ("org/m",)
    assert learned(model, "other", {"model_path": str(tmp_path)}).names == ("other",)
