"""Which folders of weights SGLang is sent to: whole ones, of the model that is served; and which others may come."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from middleware.weights.files import INDEX, NotThere, Unfit, folder, require
from tests.middleware.weights.folders import SHAPES, write_weights


@pytest.mark.parametrize("name", ["step_1", "org/model", "./step_1", "~/step_1", "", "/data/a\nb", "/data/\0"])
def test_what_is_no_absolute_path_is_never_looked_for(name: str) -> None:
    with pytest.raises(Unfit, match="no absolute path"):
        folder(name)


def test_a_folder_with_whole_files_will_do_without_a_configuration(tmp_path: Path) -> None:
    model = write_weights(tmp_path / "model")
    require(write_weights(tmp_path / "step_1"), model)
    require(tmp_path / "step_1", None)
    require(tmp_path / "step_1", tmp_path / "nowhere")


def test_what_is_not_there_yet_may_come(tmp_path: Path) -> None:
    place = tmp_path / "step_1"
    with pytest.raises(NotThere, match="there is no folder"):
        require(place, None)
    place.mkdir()
    with pytest.raises(NotThere, match=r"holds no \.safetensors file"):
        require(place, None)
    (place / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(NotThere, match=r"holds no \.safetensors file"):
        require(place, None)


@pytest.mark.parametrize("kept", [0, 7, 20, -1])
def test_a_file_that_is_still_being_written_is_not_read_by_sglang(tmp_path: Path, kept: int) -> None:
    """0.5.23 dies of it."""
    path = write_weights(tmp_path / "step_1") / "model.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(NotThere, match="is not whole"):
        require(tmp_path / "step_1", None)


def test_without_an_index_all_parts_must_be_there(tmp_path: Path) -> None:
    """Who writes several files writes it last."""
    place = write_weights(tmp_path / "step_1", file="model-00001-of-00002.safetensors")
    with pytest.raises(NotThere, match=r"model-00002-of-00002\.safetensors is not there yet"):
        require(place, None)
    write_weights(place, file="model-00002-of-00002.safetensors")
    require(place, None)


def test_all_that_the_index_names_must_be_there_and_nothing_else_is_read(tmp_path: Path) -> None:
    place = write_weights(tmp_path / "step_1", file="model-00001-of-00002.safetensors")
    (place / INDEX).write_text(json.dumps({"weight_map": {"a": "model-00002-of-00002.safetensors"}}))
    with pytest.raises(NotThere, match=r"model-00002-of-00002\.safetensors is not there yet"):
        require(place, None)
    write_weights(place, file="model-00002-of-00002.safetensors")
    (place / "model-00001-of-00002.safetensors").write_bytes(b"")
    require(place, None)
    (place / INDEX).write_text('{"weight_map": {')
    with pytest.raises(NotThere, match="is not whole"):
        require(place, None)


def test_another_models_weights_are_refused_for_good(tmp_path: Path) -> None:
    """0.5.23 takes them in silence, as far as they go."""
    model = write_weights(tmp_path / "model")
    with pytest.raises(Unfit, match="none of the 1 tensors"):
        require(write_weights(tmp_path / "other", {"x.weight": [4, 2]}), model)
    with pytest.raises(Unfit, match=r"'model.norm.weight' has the shape \[3\].* and \[2\]"):
        require(write_weights(tmp_path / "wide", {**SHAPES, "model.norm.weight": [3]}), model)


def test_packed_numbers_are_not_compared_and_names_may_be_more_or_fewer(tmp_path: Path) -> None:
    packed = write_weights(tmp_path / "model", {**SHAPES, "model.norm.weight": [9]}, dtype="U8")
    require(write_weights(tmp_path / "step_1"), packed)
    model = write_weights(tmp_path / "plain")
    require(write_weights(tmp_path / "more", {**SHAPES, "lm_head.weight": [4, 2]}), model)
    require(write_weights(tmp_path / "fewer", {"model.norm.weight": [2]}), model)


def test_a_pipe_in_the_place_of_a_file_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.safetensors")
    with pytest.raises(NotThere, match="is no file"):
        require(tmp_path, None)
