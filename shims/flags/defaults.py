"""What we set though nobody asked: where SGLang's default differs from vLLM's, the deployment must see vLLM's.
Called last by `translate`.
"""

from __future__ import annotations

from shims.flags import histograms, model, observability, sampling
from shims.flags.draft import DEFAULT_MODEL, Decision, Draft
from shims.flags.waivers import Waivers
from shims.values.parsers import MISTRAL_FAMILY

# SGLang 0.5.23 updates its gauges every 40 decode steps: with a full batch that is seconds, in which a router sends on
# to whom it believes idle. Not every step either: each update writes a line of the log, too.
STEPS = 10
FRESH = "steps between updates of running, waiting and cache usage: scalers would see the past in SGLang's 40"


def complete(draft: Draft, waived: Waivers) -> None:
    _model(draft)
    draft.add("--random-seed", 0, why="vLLM's default seed; SGLang's is random")
    draft.add("--enable-metrics", why="vLLM always serves /metrics")
    draft.add("--decode-log-interval", STEPS, why=FRESH)
    histograms.complete(draft)
    observability.complete(draft)
    draft.add(
        "--uvicorn-access-log-exclude-prefixes", "/health", why="our check would fill its log, four times a second"
    )
    draft.add_env("SGLANG_RETURN_ORIGINAL_LOGPROB", "1", "vLLM's logprobs are those before temperature")
    draft.add_env("SGLANG_ENABLE_HEALTH_ENDPOINT_GENERATION", "0", "SGLang's own check takes a second a time")
    _tool_call_parser(draft, waived)
    model.complete(draft)
    sampling.complete(draft)


def _model(draft: Draft) -> None:
    positional = draft.command.positional if draft.command.entry == "serve" else None
    name = positional or draft.given("--model")
    if name is None:
        draft.added.append((f"--model-path {DEFAULT_MODEL}", "no model was given: vLLM's own default"))
        draft.warnings.append(f"no model was given: serving vLLM's default, {DEFAULT_MODEL}")
    draft.model = name or DEFAULT_MODEL
    draft.served_names = draft.served_names or (draft.model,)


def _tool_call_parser(draft: Draft, waived: Waivers) -> None:
    """Named by the operator's variable, or known from the model's family; never guessed for any other model."""
    if draft.given("--tool-call-parser") is not None:
        return
    name = "SGLANG_TOOL_CALL_PARSER"
    if parser := draft.env.get(name, "").strip():
        note = "the command line names no parser"
        outcome = waived.apply(draft, name, draft.emit("--tool-call-parser", parser, note=note))
        draft.decisions = [d for d in draft.decisions if d.name != name]
        draft.decisions.append(Decision(name, "env", parser, outcome.action, outcome.target, outcome.note))
    elif family := _mistral(draft):
        draft.add("--tool-call-parser", "mistral", why=f"a model of the Mistral family ({family})")


def _mistral(draft: Draft) -> str | None:
    config = draft.facts.model_config
    if config:
        names = [str(config.get("model_type", "")), *draft.facts.architectures]
        return next((name for name in names if name.lower().startswith(MISTRAL_FAMILY)), None)
    name = draft.model.rstrip("/").rpartition("/")[2].lower()
    return next((family for family in MISTRAL_FAMILY if family in name), None)
