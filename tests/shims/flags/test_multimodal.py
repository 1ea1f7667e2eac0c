"""Limits, files, processors and encoders of images, video and audio."""

from __future__ import annotations

import pytest

from shims.catalog import load
from shims.exceptions import CommandLineError, Refused
from shims.values.media import ENCODER_ATTENTION
from tests.shims.conftest import MakePlan
from tests.shims.flags.test_model import value

CACHE = "--mm-preprocess-cache-size-mb"
LIMIT = "--limit-mm-data-per-request"


@pytest.mark.parametrize(
    ("words", "flag", "expected"),
    [
        (["--limit-mm-per-prompt", "image=2,video=1"], LIMIT, '{"image":2,"video":1}'),
        (["--limit_mm_per_prompt=image=2"], LIMIT, '{"image":2}'),
        (["--limit-mm-per-prompt", '{"video": {"num_frames": 8}}'], LIMIT, '{"video":999}'),
        (["--limit-mm-per-prompt.image", "0"], LIMIT, '{"image":0}'),
        (["--limit-mm-per-prompt", "{}"], LIMIT, None),
        (["--mm-processor-cache-gb", "0.5"], CACHE, "512"),
        (["--mm-processor-cache-gb", "0"], CACHE, "0"),
        (["--disable-mm-preprocessor-cache"], CACHE, "0"),
        (["--mm-encoder-tp-mode", "data"], "--mm-enable-dp-encoder", ""),
        (["--mm-encoder-tp-mode", "weights"], "--mm-enable-dp-encoder", None),
        (["--enable-multimodal-encoder-data-parallel"], "--mm-enable-dp-encoder", ""),
        (["--mm-encoder-attn-backend", "torch_sdpa"], "--mm-attention-backend", "sdpa"),
        (["--mm-encoder-attn-backend", "FLASH_ATTN"], "--mm-attention-backend", None),
        (["--mm-processor-kwargs", '{"use_fast": false, "device": "cuda"}'], "--image-processor-backend", "pil"),
        (["--mm-processor-kwargs", '{"use_fast": true}'], "--image-processor-backend", None),
        (["--mm-processor-kwargs", "{}"], "--image-processor-backend", None),
        (["--language-model-only"], "--language-model-only", ""),
        (["--video-pruning-rate", "0"], "--video-pruning-rate", None),
    ],
)
def test_a_flag_becomes(words: list[str], flag: str, expected: str | None, make_plan: MakePlan) -> None:
    assert value(make_plan("serve", "m", *words), flag) == expected


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--limit-mm-per-prompt", '{"image": "two"}'], "the limit of 'image' is not a number"),
        (["--limit-mm-per-prompt", '{"image": -1}'], "not a number"),
        (["--limit-mm-per-prompt", '{"image": true}'], "not a number"),
        (["--limit-mm-per-prompt", '{"vision_chunk": 1}'], "only image, video, audio"),
        (["--limit-mm-per-prompt", "[1]"], "give a JSON object"),
        (["--mm-processor-cache-gb", "inf"], "not a number of GiB"),
        (["--mm-processor-cache-gb", "-1"], "not a number of GiB"),
        (["--mm-processor-cache-gb", "1e300"], "not a number of GiB"),
        (["--mm-processor-kwargs", '{"min_pixels": 4}'], "--mm-process-config"),
        (["--mm-processor-kwargs", "[]"], "give a JSON object"),
        (["--media-io-kwargs", '{"video": {"num_frames": 8}}'], "--mm-process-config"),
        (["--video-pruning-rate", "0.5"], "reads videos whole"),
        (["--enable-mm-embeds"], "no image embeddings"),
        (["--interleave-mm-strings"], "where the chat template does"),
        (["--ec-transfer-config", '{"ec_role": "ec_both"}'], "--encoder-only"),
        (["--allowed-local-media-path", "media"], "the full path"),
        (["--allowed-local-media-path", "/media/../etc"], "without .."),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_do(words: list[str], why: str, make_plan: MakePlan) -> None:
    with pytest.raises(Refused) as caught:
        make_plan("serve", "m", *words)
    assert why in str(caught.value)


def test_a_limit_in_neither_form_is_no_json(make_plan: MakePlan) -> None:
    with pytest.raises(CommandLineError, match="not valid JSON"):
        make_plan("serve", "m", "--limit-mm-per-prompt", "image=two")


def test_local_files_are_for_the_middleware_to_guard(make_plan: MakePlan) -> None:
    made = make_plan("serve", "m", "--allowed-local-media-path", "/media/", "--allowed-media-domains", "a.b", "c.d")
    assert made.policy.local_media_path == "/media"
    assert value(made, "--allowed-media-domains") == "a.b"
    assert not make_plan("serve", "m", "--allowed-local-media-path", "").policy.local_media_path
    env = {"VLLM_SHIM_UNSUPPORTED": "warn"}
    with pytest.raises(Refused):
        make_plan("serve", "m", "--allowed-local-media-path", "media", env=env)


def test_every_attention_of_an_encoder_is_a_choice_of_sglangs() -> None:
    assert set(ENCODER_ATTENTION.values()) <= set(load("sglang").by_spelling["--mm-attention-backend"].choices)
