"""What the middleware is told of the engine as it will run: read off the finished translation, SGLang's own flags and
VLLM_SHIM_ENGINE_ARGS among it. Called last by `translate`.
"""

from __future__ import annotations

from collections.abc import Mapping

from shims.flags import cache_info, histograms, lora, observability, pooling
from shims.flags.draft import Draft
from shims.values.shapes import is_count

TOOL_CALL_PARSER = "--tool-call-parser"
# Where config.json says how many tokens the model knows, and where that of a multimodal model does.
PARTS = (None, "text_config", "llm_config")


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
        tokenizer=_value(draft, "--tokenizer-path"),
        tokenizer_mode=draft.given("--tokenizer-mode") or "auto",
        revision=_value(draft, "--revision"),
        download_dir=_value(draft, "--download-dir"),
        chat_template=_value(draft, "--chat-template"),
        max_loras=lora.slots(draft),
        histogram_buckets=histograms.told(draft),
        cache_config=cache_info.labels(draft),
        max_running=observability.most_running(draft),
        watchdog_seconds=observability.watchdog_seconds(draft),
    )


def vocabulary(config: Mapping[str, object]) -> int | None:
    for name in PARTS:
        part = config if name is None else config.get(name)
        if isinstance(part, Mapping) and is_count(size := part.get("vocab_size")):
            return size
    return None


def _value(draft: Draft, flag: str) -> str:
    return next(iter(draft.engine_args.get(flag, ())), "")
