"""CUDA graphs: values of --compilation-config that are none of vLLM's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shims.exceptions import Refused
from tests.shims.conftest import MakePlan


@pytest.mark.parametrize(
    "config",
    [
        {"cudagraph_mode": 1.0},
        {"cudagraph_mode": True},
        {"cudagraph_mode": [1]},
        {"cudagraph_capture_sizes": ["9" * 5000]},
        {"cudagraph_capture_sizes": [1.0]},
        {"max_cudagraph_capture_size": 1.0},
    ],
)
def test_a_value_of_a_wrong_kind_is_refused_in_a_sentence(config: dict[str, Any], make_plan: MakePlan) -> None:
    with pytest.raises(Refused, match=r"^--compilation-config: "):
        make_plan("serve", "m", "--compilation-config", json.dumps(config))


def test_a_mode_may_be_its_number(make_plan: MakePlan) -> None:
    assert "disabled" in make_plan("serve", "m", "--compilation-config", '{"cudagraph_mode": 0}').engines[0].argv
