"""The number format of the weights. What SGLang lacks is refused: another number format is another result.
`values.numerics` has the names, and the checkpoint's own configuration, where it is local, has the last word.
"""

from __future__ import annotations

from typing import Any

from shims.flags.draft import Draft
from shims.flags.record import Flag, Outcome, already, convert, drop, refuse, refused
from shims.values.numerics import APPROXIMATE, QUANTIZATION


def quantization(draft: Draft, value: str) -> Outcome:
    declared = _declared(draft)
    if value == "fp8_per_block" and declared.get("quant_method") == "fp8" and declared.get("weight_block_size"):
        return already("the checkpoint is quantized by blocks, which SGLang reads there")
    if value not in QUANTIZATION:
        if value == declared.get("quant_method"):
            return already("the checkpoint declares it, and SGLang reads it there")
        names = ", ".join(sorted(QUANTIZATION))
        return refused(f"SGLang has no quantization method for '{value}'; those with a counterpart: {names}")
    if value in APPROXIMATE:
        draft.warnings.append(f"--quantization {value}: {APPROXIMATE[value]}; the answers may differ a little")
    if value == "gguf" and draft.given("--load-format", "auto") == "auto":
        return draft.emit_all(("--quantization", "gguf"), ("--load-format", "gguf"))
    return draft.emit("--quantization", QUANTIZATION[value])


def _declared(draft: Draft) -> dict[str, Any]:
    config = draft.facts.model_config.get("quantization_config")
    return config if isinstance(config, dict) else {}


FLAGS: tuple[Flag, ...] = (
    convert("--quantization", quantization, to="--quantization"),
    refuse("--quantization-config", "SGLang has no settings for single layers: quantize the checkpoint beforehand"),
    drop("--allow-deprecated-quantization", "SGLang has no list of deprecated methods"),
)
