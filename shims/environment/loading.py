"""Where the model comes from, how long its context is, and the media of requests. Read by `shims.environment`."""

from __future__ import annotations

from shims.environment.record import (
    Decider,
    Variable,
    convert,
    drop,
    emits,
    given,
    names,
    number,
    off,
    put,
    refuse,
    same_value,
    sets,
    unseen,
    whole,
    word,
)
from shims.flags.draft import Draft
from shims.flags.record import Outcome, already, dropped, refused

FETCH = ("VLLM_IMAGE_FETCH_TIMEOUT", "VLLM_VIDEO_FETCH_TIMEOUT", "VLLM_AUDIO_FETCH_TIMEOUT")
TENSORIZER = "vLLM's tensorizer reads it; SGLang has none, and its S3 loader reads AWS_* and RUNAI_STREAMER_*"
NO_CACHE = "SGLang keeps no such cache"


def fetch_timeout(draft: Draft, value: str) -> Outcome:
    """SGLang 0.5.23 has one for all kinds: the longest that was asked for, so that none is cut short."""
    seconds = whole(value, 1, "seconds")
    if isinstance(seconds, Outcome):
        return seconds
    asked = [int(draft.env[name]) for name in FETCH if draft.env.get(name, "").strip().isdecimal()]
    return draft.set_env("REQUEST_TIMEOUT", str(max(asked)), "one for images, video and audio")


def download_size(draft: Draft, value: str) -> Outcome:
    size = whole(value, 1, "MB")
    if isinstance(size, Outcome):
        return size
    flag = "--media-url-max-file-size-mb"
    return dropped(f"{flag} wins") if flag in draft.engine_args else draft.emit(flag, size)


def no_less_than(default: int, unit: str) -> Decider:
    """A guard that SGLang has not: a tighter one than vLLM's default was asked for, and would not be there."""

    def decide(_draft: Draft, value: str) -> Outcome:
        limit = whole(value, 0, unit)
        if isinstance(limit, Outcome):
            return limit
        if limit == 0 or limit >= default:
            return already("SGLang has no such limit")
        return refused(f"SGLang has no such limit, and {limit} {unit} is a tighter one than vLLM's {default}")

    return decide


def fp8_marlin(draft: Draft, value: str) -> Outcome:
    return put(draft, "SGLANG_FORCE_FP8_MARLIN", "1") if word(value) else already("off, as SGLang's default")


VARIABLES: tuple[Variable, ...] = (
    convert(
        "VLLM_ALLOW_LONG_MAX_MODEL_LEN",
        sets("SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN", read=word),
        to="SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN",
    ),
    convert("VLLM_USE_MODELSCOPE", sets("SGLANG_USE_MODELSCOPE", read=word), to="SGLANG_USE_MODELSCOPE"),
    convert(
        "VLLM_USE_FASTOKENS",
        emits("--tokenizer-backend", "fastokens"),
        to="--tokenizer-backend fastokens",
    ),
    *(convert(name, fetch_timeout, to="REQUEST_TIMEOUT") for name in FETCH),
    convert("VLLM_MAX_MEDIA_DOWNLOAD_SIZE_MB", download_size, to="--media-url-max-file-size-mb"),
    convert("VLLM_PP_LAYER_PARTITION", same_value("SGLANG_PP_LAYER_PARTITION"), to="SGLANG_PP_LAYER_PARTITION"),
    convert("VLLM_TEST_FORCE_FP8_MARLIN", fp8_marlin, to="SGLANG_FORCE_FP8_MARLIN"),
    *refuse(given, "name the folder itself: vllm serve FOLDER --served-model-name NAME", "VLLM_MODEL_REDIRECT_PATH"),
    *refuse(
        off(number),
        "SGLang follows redirects of media URLs, to the domains of --allowed-media-domains; name those instead",
        "VLLM_MEDIA_URL_ALLOW_REDIRECTS",
        firm=True,
    ),
    *refuse(names("http"), "SGLang fetches media by itself; a connector of vLLM's cannot run", "VLLM_MEDIA_CONNECTOR"),
    *refuse(names("opencv"), "SGLang samples the frames of a video in its own way", "VLLM_VIDEO_LOADER_BACKEND"),
    convert("VLLM_MAX_MEDIA_REQUEST_DOWNLOAD_SIZE_MB", no_less_than(256, "MB")),
    convert("VLLM_MAX_MEDIA_REQUEST_DECODE_BYTES", no_less_than(715827880, "bytes")),
    convert("VLLM_MAX_AUDIO_CLIP_FILESIZE_MB", no_less_than(25, "MB")),
    convert("VLLM_MAX_AUDIO_DECODE_DURATION_S", no_less_than(600, "seconds")),
    convert("VLLM_MAX_AUDIO_DECODE_BYTES", no_less_than(268435456, "bytes")),
    convert("VLLM_MAX_EMBED_DECODE_BYTES", no_less_than(2147483648, "bytes")),
    convert("VLLM_MAX_IMAGE_PIXELS", no_less_than(178956970, "pixels")),
    *drop("SGLang fetches media once", "VLLM_MEDIA_FETCH_MAX_RETRIES"),
    *drop(
        NO_CACHE,
        *("VLLM_MEDIA_CACHE", "VLLM_MEDIA_CACHE_MAX_SIZE_MB", "VLLM_MEDIA_CACHE_TTL_HOURS", "VLLM_MM_INPUT_CACHE_GIB"),
        *("VLLM_ASSETS_CACHE", "VLLM_ASSETS_CACHE_MODEL_CLEAN", "VLLM_OBJECT_STORAGE_SHM_BUFFER_NAME"),
    ),
    *drop(
        "threads of vLLM's own; speed only",
        *("VLLM_MEDIA_LOADING_THREAD_COUNT", "VLLM_MAX_AUDIO_PREPROCESS_WORKERS", "VLLM_FASTSAFETENSORS_QUEUE_SIZE"),
    ),
    *drop("vLLM's own settings are not read", "VLLM_CONFIG_ROOT"),
    *drop("for tests of vLLM's", "VLLM_TEST_FORCE_LOAD_FORMAT", "VLLM_CI_USE_S3"),
    *drop(
        "read with --calculate-kv-scales in older releases", "Q_SCALE_CONSTANT", "K_SCALE_CONSTANT", "V_SCALE_CONSTANT"
    ),
    *drop(TENSORIZER, "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY", "S3_ENDPOINT_URL"),
    *unseen("MAX_JOBS", "NVCC_THREADS", "CMAKE_BUILD_TYPE", "VERBOSE", "CUDA_HOME", "LD_LIBRARY_PATH"),
)
