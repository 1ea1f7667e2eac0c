"""How a token is chosen where the request does not say: the model's generation configuration and ours, and what is told
about it: log probabilities, expert choices.

vLLM applies a model's defaults to chat, completions and responses, SGLang 0.5.23 to chat and responses: the middleware
puts into requests whatever could be read here (`complete`).
"""

from __future__ import annotations

from typing import Any

from shims.flags.draft import Draft
from shims.flags.record import Flag, Outcome, already, convert, drop, invalid, ours, refuse, refused
from shims.values.generation import KEYS, LENGTH, defaults, is_valid
from shims.values.shapes import odd_keys

ORIGINAL = "SGLANG_RETURN_ORIGINAL_LOGPROB"
CLASSES = "they are classes of vLLM's, which SGLang cannot load; leave it out"
MODES = {
    "raw_logits": "SGLang gives log probabilities and no logits; leave it out",
    "processed_logits": "SGLang gives log probabilities and no logits; leave it out",
}
EXPERTS = (
    "routed experts: /inference/v1/generate has them in every choice, in prime-rl's form; chats and completions "
    "have them where a request says return_routed_experts, in sglext.routed_experts and encoded in SGLang's own way"
)


def generation_config(draft: Draft, value: str) -> Outcome:
    config = draft.facts.generation_config
    if value == "auto":
        return already("SGLang takes the model's defaults for chat; the middleware adds them where they can be read")
    if value == "vllm":
        return draft.emit("--sampling-defaults", "openai")
    if config is None:
        return refused("no generation_config.json could be read there: give a local folder that has one")
    if "eos_token_id" in config:
        draft.warnings.append(
            f"--generation-config {value}: its sampling parameters are taken, its eos_token_id is not; SGLang stops at "
            "the model's own"
        )
    return draft.emit("--sampling-defaults", "openai", note="the middleware puts the folder's into requests")


def override_generation_config(draft: Draft, value: Any) -> Outcome:
    if not isinstance(value, dict):
        return invalid('give a JSON object such as {"temperature": 0.5}')
    if odd := [key for key in KEYS if value.get(key) is not None and not is_valid(key, value[key])]:
        return invalid(f"its {odd[0]} is {value[odd[0]]!r:.60}, which is no value for it")
    if not any(key in value for key in KEYS):
        return already("it sets no sampling parameter")
    ignored = odd_keys(value, KEYS)
    note = f"without {ignored}, which set no sampling parameter in vLLM either" if ignored else ""
    return Outcome("ours", "the middleware puts it into requests that do not say", note)


def max_logprobs(draft: Draft, value: int) -> Outcome:
    if value < -1:
        return invalid(f"{value} is not a limit: give 0 or more, or -1 for none")
    draft.ask(max_logprobs=value)
    return Outcome("ours", f"the middleware allows {'any number' if value == -1 else value}")


def logprobs_mode(draft: Draft, value: str) -> Outcome:
    if value == "raw_logprobs":
        return already(f"{ORIGINAL} is set")
    if value in MODES:
        return refused(MODES[value])
    draft.warnings.append(
        "--logprobs-mode processed_logprobs: SGLang's come after temperature and penalties and before top_k, top_p and "
        "min_p; they are vLLM's where a request sets none of these three"
    )
    return draft.set_env(ORIGINAL, "0")


def routed_experts(draft: Draft, value: bool) -> Outcome:
    if not value:
        return already("off by default in SGLang")
    draft.warnings.append(EXPERTS)
    draft.ask(routed_experts=True)
    return draft.emit("--enable-return-routed-experts")


def aux_output_config(draft: Draft, value: Any) -> Outcome:
    known = ("enable_return_routed_experts", "max_bytes")
    if not isinstance(value, dict):
        return invalid('give a JSON object such as {"enable_return_routed_experts": true}')
    if odd := odd_keys(value, known):
        return invalid(f"it has no {odd}; it has {', '.join(known)}")
    return routed_experts(draft, value.get("enable_return_routed_experts") is True)


def complete(draft: Draft) -> None:
    """Tells the middleware what requests get that do not say. The operator's own --sampling-defaults wins."""
    source = draft.given("--generation-config") or "auto"
    override = draft.given("--override-generation-config")
    override = override if isinstance(override, dict) else {}
    wanted = source != "vllm" and not (source == "auto" and draft.engine_args.get("--sampling-defaults") == ("openai",))
    config = (draft.facts.generation_config or {}) if wanted else {}
    found = defaults(config, override)
    # As a cap, vLLM takes what the operator named; the model's own is for requests that set no length.
    cap = found.get("max_tokens", 0) if source not in ("auto", "vllm") or override.get(LENGTH) else 0
    if found:
        draft.ask(sampling_defaults=found, max_new_tokens=cap)


FLAGS: tuple[Flag, ...] = (
    convert("--generation-config", generation_config, to="--sampling-defaults"),
    ours(
        "--override-generation-config",
        override_generation_config,
        to="the middleware puts it into requests that do not say",
    ),
    ours("--max-logprobs", max_logprobs, to="the middleware refuses requests beyond it"),
    convert("--logprobs-mode", logprobs_mode, to=ORIGINAL),
    refuse("--logits-processors", CLASSES),
    refuse("--logits-processor-pattern", CLASSES),
    convert("--enable-return-routed-experts", routed_experts, to="--enable-return-routed-experts"),
    convert("--aux-output-config", aux_output_config, to="--enable-return-routed-experts"),
    drop("--use-fp64-gumbel", "the precision of the sampler's noise, which SGLang chooses itself"),
    refuse("--return-sampling-mask", "SGLang's requests ask for the mask one by one, in another shape; leave it out"),
    refuse("--enable-trace-replay", "SGLang cannot replay traces; leave it out"),
)
