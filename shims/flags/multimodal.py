"""Images, video and audio in requests: how many, from where, and how they are prepared for the model.
`values.media` has the vocabularies; the middleware keeps requests to the folder of --allowed-local-media-path.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from shims.flags.draft import Draft
from shims.flags.record import Flag, Outcome, already, convert, drop, dropped, invalid, ours, refuse, refused, same
from shims.values.media import ENCODER_ATTENTION, KINDS
from shims.values.shapes import compact, is_count, is_finite

CACHE = "--mm-preprocess-cache-size-mb"
ENCODER_FP8 = "SGLang computes the encoder's attention in the model's own type, which is more exact"
OWN = "SGLang has a way of its own (speed only)"
GIB = 1024
MOST_GIB = 2**20


def limit_mm_per_prompt(draft: Draft, value: Any) -> Outcome:
    """`{"image": 2}`, or vLLM 0.33.0's longer form `{"image": {"count": 2, ...}}`."""
    if not isinstance(value, dict):
        return invalid('give a JSON object such as {"image": 2}')
    counts: dict[str, int] = {}
    for kind, limit in value.items():
        count = limit.get("count", 999) if isinstance(limit, dict) else limit  # vLLM's default
        if not is_count(count, 0):
            return invalid(f"the limit of '{kind}' is not a number: {compact(limit):.60}")
        if kind not in KINDS:
            return refused(f"SGLang cannot limit '{kind}', only {', '.join(KINDS)}")
        counts[kind] = count
    return draft.emit("--limit-mm-data-per-request", compact(counts)) if counts else already("nothing is limited")


def local_media_path(draft: Draft, value: str) -> Outcome:
    """SGLang 0.5.23 opens any file that a request names, so the middleware lets none through but those below."""
    if not value:
        return already("no local file is served")
    path = PurePosixPath(value)
    if not path.is_absolute() or ".." in path.parts:
        return invalid(f"'{value}' must be the full path of a folder, without ..")
    draft.ask(local_media_path=str(path))
    return Outcome("ours", f"the middleware allows files below {path}")


def processor_kwargs(draft: Draft, value: Any) -> Outcome:
    if not isinstance(value, dict):
        return invalid('give a JSON object such as {"use_fast": false}')
    kept = {key: setting for key, setting in value.items() if key != "device"}
    if odd := [key for key in kept if key != "use_fast"]:
        return refused(f"SGLang sets {odd[0]} for one kind of media: --mm-process-config '{{\"image\": {{...}}}}'")
    if kept.get("use_fast") is False:
        return draft.emit("--image-processor-backend", "pil")
    return already("SGLang's default") if len(kept) == len(value) else dropped("SGLang chooses the device")


def processor_cache_gb(draft: Draft, value: float) -> Outcome:
    if not is_finite(value) or not 0 <= value <= MOST_GIB:
        return invalid(f"{value} is not a number of GiB: give 0 or more")
    return draft.emit(CACHE, int(value * GIB))


def no_preprocessor_cache(draft: Draft, value: bool) -> Outcome:
    return draft.emit(CACHE, 0) if value else already("SGLang's own default")


def encoder_tp_mode(draft: Draft, value: str) -> Outcome:
    if value != "data":
        return already("SGLang's default")
    return draft.emit("--mm-enable-dp-encoder")


def encoder_data_parallel(draft: Draft, value: bool) -> Outcome:
    return encoder_tp_mode(draft, "data" if value else "weights")


def encoder_attention(draft: Draft, value: str) -> Outcome:
    name = value.upper()
    if name not in ENCODER_ATTENTION:
        return dropped("SGLang chooses one for the GPU (speed only)")
    return draft.emit("--mm-attention-backend", ENCODER_ATTENTION[name])


def pruning_rate(draft: Draft, value: float) -> Outcome:
    if value == 0:
        return already("nothing is pruned")
    return refused("SGLang reads videos whole: without pruning the answers and the prompt's length are others")


FLAGS: tuple[Flag, ...] = (
    ours("--allowed-local-media-path", local_media_path, to="the middleware refuses every other file"),
    same("--allowed-media-domains"),
    convert("--limit-mm-per-prompt", limit_mm_per_prompt, to="--limit-mm-data-per-request"),
    same("--language-model-only"),
    refuse("--enable-mm-embeds", "SGLang takes no image embeddings in messages; leave it out"),
    refuse("--media-io-kwargs", "SGLang sets frames and sizes with --mm-process-config '{\"video\": {...}}'"),
    convert("--mm-processor-kwargs", processor_kwargs, to="--image-processor-backend"),
    convert("--mm-processor-cache-gb", processor_cache_gb, to=CACHE),
    convert("--disable-mm-preprocessor-cache", no_preprocessor_cache, to=CACHE),
    drop("--mm-processor-cache-type", "SGLang's cache has one type (speed only)"),
    drop("--mm-shm-cache-max-object-size-mb", "SGLang's cache has one type (speed only)"),
    drop("--mm-hasher-algorithm", "SGLang's cache names media by SHA-256"),
    refuse("--mm-encoder-only", "SGLang splits encoders off with --encoder-only, by another protocol"),
    convert("--mm-encoder-tp-mode", encoder_tp_mode, to="--mm-enable-dp-encoder"),
    convert("--enable-multimodal-encoder-data-parallel", encoder_data_parallel, to="--mm-enable-dp-encoder"),
    convert("--mm-encoder-attn-backend", encoder_attention, to="--mm-attention-backend"),
    drop("--mm-encoder-attn-dtype", ENCODER_FP8),
    drop("--mm-encoder-fp8-scale-path", ENCODER_FP8),
    drop("--mm-encoder-fp8-scale-save-path", ENCODER_FP8),
    drop("--mm-encoder-fp8-scale-save-margin", ENCODER_FP8),
    refuse("--interleave-mm-strings", "SGLang puts media where the chat template does; leave it out"),
    convert("--video-pruning-rate", pruning_rate, to="0 is accepted, else refused: SGLang reads videos whole"),
    drop("--video-pruning-method", "it has an effect with --video-pruning-rate alone, which is refused"),
    drop("--skip-mm-profiling", "SGLang does not profile media at the start"),
    drop("--mm-tensor-ipc", OWN),
    drop("--mm-processor-device", OWN),
    drop("--mm-ipc-gpu-memory-gb", OWN),
    drop("--mm-device-do-normalize", OWN),
    drop("--ec-manager-config", "it tunes vLLM's cache of encoder outputs (speed only)"),
    refuse("--ec-transfer-config", "SGLang splits encoders off with --encoder-only, by another protocol"),
)
