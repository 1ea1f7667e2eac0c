"""What the middleware is told of the engine as it will run: read off the finished translation, SGLang's own flags and
VLLM_SHIM_ENGINE_ARGS among it. Called last by `translate`.
"""

from __future__ import annotations

from collections.abc import Mapping

from shims.flags import cache_info, histograms, lora, observability, pooling
from shims.flags.draft import Draft
from shims.values.parts import parts
from shims.values.shapes import is_count

TOOL_CALL_PARSER = "--tool-call-parser"


def complete(draft: Draft) -> None:
    has_parser = TOOL_CALL_PARSER in draft.engine_args
    # Who let us find the parser asks for tool calls by that; vLLM has no such way.
    found = draft.given(TOOL_CALL_PARSER) is None
    draft.ask(
        model_path=draft.model,
        task=pooling.task(draft),
        vocab_size=vocabulary(draft.facts.model_config),
        tool_parser=has_parser,
        auto_tool_choice=has_parser and (found or bool(draft.given("--enable-auto-tool-choice"))),
        reasoning_parser="--reasoning-parser" in draft.engine_args,
        deterministic="--enable-deterministic-inference" in draft.engine_args,
        response_store="--enable-response-store" in draft.engine_args,
        tokenizer=draft.engine_value("--tokenizer-path"),
        tokenizer_mode=draft.given("--tokenizer-mode") or "auto",
        revision=draft.engine_value("--revision"),
        download_dir=draft.engine_value("--download-dir"),
        chat_template=draft.engine_value("--chat-template"),
        sleep_mode="--enable-memory-saver" in draft.engine_args,
        weights_backup="--enable-weights-cpu-backup" in draft.engine_args,
        max_loras=lora.slots(draft),
        histogram_buckets=histograms.told(draft),
        cache_config=cache_info.labels(draft),
        max_running=observability.most_running(draft),
        watchdog_seconds=observability.watchdog_seconds(draft),
    )


def vocabulary(config: Mapping[str, object]) -> int | None:
    """How many tokens the model knows."""
    return next((size for part in parts(config) if is_count(size := part.get("vocab_size"))), None)
