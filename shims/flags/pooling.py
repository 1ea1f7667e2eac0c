"""Models that answer with vectors or classes: --runner and --convert, and --task and the pooler's flags.
SGLang 0.5.23 knows such a model by its architecture, and makes vectors of any other with --is-embedding.
"""

from __future__ import annotations

from shims.flags.draft import Draft
from shims.flags.record import Flag, Outcome, already, convert, refuse, refused

TO = "--is-embedding"
GENERATIVE = ("ForCausalLM", "ForConditionalGeneration")
POOLER = "SGLang reads how to pool from the checkpoint alone, and another pooling is another vector; leave it out"
VECTORS = ("embed", "embedding", "pooling", "score")
CLASSES = ("classify", "reward")
CLASSIFIER = "ForSequenceClassification"
LABELS = 2  # of a checkpoint that does not say, in transformers


def kind(draft: Draft, value: str) -> Outcome:
    if value in VECTORS:
        return draft.emit(TO)
    if value in CLASSES:
        return _classes(draft, value)
    if value == "draft":
        return refused("a draft serves nobody by itself: give it in --speculative-config")
    return already("SGLang generates, unless the model's architecture says otherwise")


def _classes(draft: Draft, value: str) -> Outcome:
    architectures = draft.facts.architectures
    if any(name.endswith(GENERATIVE) for name in architectures):
        return refused(f"SGLang cannot make a model of classes or scores out of {architectures[0]}")
    if not architectures:
        draft.warnings.append(f"{value}: if the checkpoint has no classification head, SGLang answers with vectors")
    return draft.emit(TO)


def task(draft: Draft) -> str:
    """The middleware's word for what the model is for, where that is certain before it has been loaded."""
    config, overrides = draft.facts.model_config, draft.given("--hf-overrides")
    architectures = draft.facts.architectures
    if not architectures or (isinstance(overrides, dict) and {"architectures", "num_labels"} & set(overrides)):
        return ""
    if all(name.endswith(CLASSIFIER) for name in architectures):
        named = config.get("id2label")
        labels = len(named) if isinstance(named, dict) else config.get("num_labels", LABELS)
        return "score" if labels == 1 else "classify"
    return "embed" if TO in draft.engine_args and all(name.endswith(GENERATIVE) for name in architectures) else ""


FLAGS: tuple[Flag, ...] = (
    convert("--runner", kind, to=TO),
    convert("--convert", kind, to=TO),
    convert("--task", kind, to=TO),
    refuse("--pooler-config", POOLER),
    refuse("--override-pooler-config", POOLER),
)
