"""State-space and linear-attention layers: the number formats of their state (results), and how it is kept (speed)."""

from __future__ import annotations

from shims.flags.draft import Draft
from shims.flags.record import Flag, Outcome, already, convert, drop, dropped, invalid, refused


def mamba_backend(draft: Draft, value: str) -> Outcome:
    if value in ("triton", "flashinfer"):
        return draft.emit("--mamba-backend", value, action="same")
    return dropped(f"SGLang has no '{value}' and chooses one itself (speed only)")


def mamba_ssm_cache_dtype(draft: Draft, value: str) -> Outcome:
    return already("the model says it") if value == "auto" else draft.emit("--mamba-ssm-dtype", value)


def stochastic_rounding(draft: Draft, value: bool) -> Outcome:
    """SGLang 0.5.23 raises for any other format than float16, and so does vLLM."""
    if not value:
        return already("off by default in SGLang")
    if draft.given("--mamba-ssm-cache-dtype") != "float16":
        return invalid("it needs --mamba-ssm-cache-dtype float16, as in vLLM")
    return draft.emit("--enable-mamba-cache-stochastic-rounding", action="same")


def philox_rounds(draft: Draft, value: int) -> Outcome:
    if value < 0:
        return invalid(f"{value}: give 0 or more")
    return already("0: the kernel's own") if value == 0 else draft.emit("--mamba-cache-philox-rounds", value)


def replayssm_buffer_len(draft: Draft, value: int) -> Outcome:
    if value < 1:
        return invalid(f"{value}: give 1 or more")
    if not draft.given("--use-replayssm"):
        return dropped("without --use-replayssm it has no effect")
    return draft.emit("--linear-replayssm-cache-len", value)


def mamba_cache_dtype(draft: Draft, value: str) -> Outcome:
    if value == "auto":
        return already("the model says it")
    if value in ("bfloat16", "float16"):
        return draft.set_env("SGLANG_MAMBA_CONV_DTYPE", value)
    return refused(f"SGLang keeps the convolution's state in bfloat16 or float16, not in {value}")


CACHE = "it tunes how vLLM keeps the state of such layers (reuse only, never results)"
FLAGS: tuple[Flag, ...] = (
    convert("--mamba-backend", mamba_backend, to="--mamba-backend"),
    drop("--mamba-ssu-algorithm", "it chooses among vLLM's own kernels (speed only)"),
    convert("--mamba-cache-dtype", mamba_cache_dtype, to="SGLANG_MAMBA_CONV_DTYPE"),
    convert("--mamba-ssm-cache-dtype", mamba_ssm_cache_dtype, to="--mamba-ssm-dtype"),
    Flag(
        "--enable-mamba-cache-stochastic-rounding",
        "same",
        to="--enable-mamba-cache-stochastic-rounding",
        convert=stochastic_rounding,
    ),
    Flag("--mamba-cache-philox-rounds", "same", to="--mamba-cache-philox-rounds", convert=philox_rounds),
    drop("--mamba-block-size", CACHE),
    drop("--mamba-cache-mode", CACHE),
    drop("--enable-mamba-shared-prefix-checkpoint", CACHE),
    Flag("--use-replayssm", "rename", to="--enable-linear-replayssm"),
    Flag("--replayssm-buffer-len", "rename", to="--linear-replayssm-cache-len", convert=replayssm_buffer_len),
)
