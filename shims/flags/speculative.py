"""Speculative decoding: --speculative-config, or --spec-method, --spec-model and --spec-tokens, which are the same in
pieces. The answers are the same with any draft, so what changes their speed alone is left out with a line.
"""

from __future__ import annotations

from typing import Any

from shims.flags.draft import Draft
from shims.flags.record import Converter, Flag, Outcome, already, convert, drop, invalid, refuse, refused
from shims.flags.speculation import Speculation, read
from shims.values.attention import BACKENDS
from shims.values.loading import DEFAULT_FORMATS, LOAD_FORMAT
from shims.values.moe import RUNNER
from shims.values.numerics import KV_CACHE_DTYPE, QUANTIZATION
from shims.values.speculative import CHAINS, DRAFT_ATTENTION

WHOLE = "--speculative-config"
PIECES = {"--spec-method": "method", "--spec-model": "model", "--spec-tokens": "num_speculative_tokens"}
DRAFT = "--speculative-draft"
RUNNING = 48  # SGLang 0.5.23's limit of running requests while it speculates
WINDOW = 5  # vLLM's prompt_lookup_max
Flags = list[tuple[object, ...]]


def speculative(draft: Draft, value: Any) -> Outcome:
    """The first of the flags that were given speaks for all of them."""
    given = [name for name in (WHOLE, *PIECES) if draft.given(name) is not None]
    config = draft.given(WHOLE)
    config = {} if config is None else config
    if not isinstance(config, dict):
        return invalid('give a JSON object such as {"method": "ngram", "num_speculative_tokens": 4}')
    for name, key in PIECES.items():
        if draft.given(name) is not None:
            if config.get(key) is not None:
                return invalid(f"{name} and {WHOLE}['{key}'] exclude each other")
            config = {**config, key: draft.given(name)}
    if not config:
        return already("nothing is asked for")
    found = read(config, _target(draft))
    if isinstance(found, Outcome):
        if found.action == "drop":
            draft.warnings.append(f"{given[0]}: {found.note}")
        return found
    return _emitted(draft, found)


def piece(name: str) -> Converter:
    def convert_it(draft: Draft, value: Any) -> Outcome:
        first = next(one for one in (WHOLE, *PIECES) if draft.given(one) is not None)
        return speculative(draft, value) if first == name else Outcome("convert", f"with {first}")

    return convert_it


def _emitted(draft: Draft, asked: Speculation) -> Outcome:
    if int(draft.given("--pipeline-parallel-size") or 1) > 1 and asked.algorithm not in ("EAGLE", "NEXTN"):
        return refused(f"with --pipeline-parallel-size SGLang does not speculate by {asked.algorithm}; leave one out")
    extras = _of_the_draft(draft, asked)
    if isinstance(extras, Outcome):
        return extras
    flags: Flags = [("--speculative-algorithm", asked.algorithm), *extras, *_ahead(asked)]
    outcome = draft.emit_all(*flags, note=asked.left_out)
    if outcome.action != "refuse":
        _warn(draft, asked)
    return outcome


def _ahead(asked: Speculation) -> Flags:
    """SGLang 0.5.23 asserts all three of a chain's flags, or none; a block's or a window's size counts the token that
    is checked beside those that are drafted."""
    tokens = asked.tokens
    if tokens is None:
        return []
    if asked.algorithm in CHAINS:
        return [
            ("--speculative-num-steps", tokens),
            ("--speculative-eagle-topk", 1),
            ("--speculative-num-draft-tokens", tokens + 1),
        ]
    if asked.algorithm == "DFLASH":
        return [("--speculative-dflash-block-size", tokens + 1)]
    if asked.algorithm == "DSPARK":
        return [("--speculative-dspark-block-size", tokens)]
    window = asked.settings.get("prompt_lookup_max") or asked.settings.get("prompt_lookup_min") or WINDOW
    return [  # one branch, as vLLM's; more stop the start on attention backends with pages
        ("--speculative-num-draft-tokens", tokens + 1),
        ("--speculative-ngram-max-bfs-breadth", 1),
        ("--speculative-ngram-max-trie-depth", window + tokens),  # what is looked up and what follows it
    ]


def _of_the_draft(draft: Draft, asked: Speculation) -> Flags | Outcome:
    settings, flags = asked.settings, Flags()
    revision = settings.get("revision")
    if asked.model is not None:
        flags.append((f"{DRAFT}-model-path", asked.model))
        if revision is not None:
            flags.append((f"{DRAFT}-model-revision", revision))
    if (code := settings.get("code_revision")) is not None and code != (revision or "main"):
        return refused("SGLang takes the draft's code from its revision too: give the same, or leave code_revision out")
    quantization = settings.get("quantization")
    if quantization is not None and quantization not in QUANTIZATION:
        return refused(f"SGLang has no quantization method for the draft's '{quantization}'")
    if quantization is not None:
        flags.append((f"{DRAFT}-model-quantization", QUANTIZATION[quantization]))
    elif asked.model is not None and "--quantization" in draft.engine_args:
        flags.append((f"{DRAFT}-model-quantization", "unquant"))  # else SGLang takes the model's for it
    load = settings.get("draft_load_config")
    if load is not None:
        if not isinstance(load, dict) or set(load) - {"load_format"} or str(load.get("load_format")) not in _FORMATS:
            return refused("of draft_load_config SGLang takes load_format alone, with a format that it has")
        flags.append((f"{DRAFT}-load-format", _FORMATS[load["load_format"]]))
    return [*flags, *_kernels(settings)]


_FORMATS = {**LOAD_FORMAT, **dict.fromkeys(DEFAULT_FORMATS, "auto")}


def _kernels(settings: dict[str, Any]) -> Flags:
    """Speed only: a name without a counterpart leaves the choice to SGLang."""
    flags = Flags()
    attention = BACKENDS.get(settings.get("attention_backend", "").upper())
    if attention in DRAFT_ATTENTION:
        flags.append((f"{DRAFT}-attention-backend", attention))
    cache = KV_CACHE_DTYPE.get(settings.get("kv_cache_dtype", ""))
    if cache is not None and cache != "nvfp4":
        flags.append((f"{DRAFT}-kv-cache-dtype", cache))
    if (experts := RUNNER.get(settings.get("moe_backend", ""))) is not None:
        flags.append(("--speculative-moe-runner-backend", experts))
    return flags


def _warn(draft: Draft, asked: Speculation) -> None:
    limited = any(given.name in ("--max-num-seqs", "--max-running-requests") for given in draft.command.given)
    if not limited:
        draft.warnings.append(
            f"with speculative decoding SGLang runs at most {RUNNING} requests at a time: give --max-num-seqs for more"
        )
    if asked.model is not None and "--json-model-override-args" in draft.engine_args:
        draft.warnings.append(
            "SGLang overrides the draft's configuration with the model's overrides too; vLLM does not"
        )


def _target(draft: Draft) -> str:
    positional = draft.command.positional if draft.command.entry == "serve" else None
    return str(positional or draft.given("--model") or "")


FLAGS: tuple[Flag, ...] = (
    convert(WHOLE, speculative, to="--speculative-algorithm ..."),
    convert("--spec-method", piece("--spec-method"), to="--speculative-algorithm"),
    convert("--spec-model", piece("--spec-model"), to="--speculative-draft-model-path"),
    convert("--spec-tokens", piece("--spec-tokens"), to="--speculative-num-draft-tokens"),
    refuse("--diffusion-config", "SGLang's diffusion models have --dllm-algorithm and a file of its own; leave it out"),
    refuse("--watermark-config", "SGLang marks text by another scheme: another key, another proof; leave it out"),
    drop("--per-request-spec-decode-metrics", "SGLang counts for the server as a whole"),
)
