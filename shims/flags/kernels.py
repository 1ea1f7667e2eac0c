"""Kernels, graphs and compilation: what changes speed and never results. A name without a counterpart is dropped with
a line, and so is every knob of vLLM's torch.compile. `environment` calls `attention_backend` for its variable.
"""

from __future__ import annotations

from typing import Any

from shims.flags.draft import Draft
from shims.flags.record import Flag, Outcome, already, convert, drop, dropped, invalid, refused
from shims.values.attention import BACKENDS, LACKING, OWN_CHOICE
from shims.values.moe import RUNNER

NO_GRAPHS = (("--cuda-graph-backend-decode", "disabled"), ("--cuda-graph-backend-prefill", "disabled"))
EAGER = "graphs are off"
# --attention-config: what SGLang computes otherwise or not at all; the rest of its keys are speed.
ATTENTION_RESULTS = {"hisparse_config": None, "indexer_kv_dtype": "auto", "use_non_causal": False}
ATTENTION_SPEED = (
    "backend_per_kind",
    "disable_flashinfer_prefill",
    "disable_flashinfer_q_quantization",
    "flash_attn_max_num_splits_for_cuda_graph",
    "flash_attn_version",
    "flex_attn_block_m",
    "flex_attn_block_n",
    "flex_attn_kv_block_size",
    "flex_attn_q_block_size",
    "indexer_sparse_logits",
    "indexer_tp_shard_min_rows",
    "minimax_m3_indexer_cp",
    "minimax_m3_msa_decode_backend",
    "mla_prefill_backend",
    "sparse_mla_force_mqa",
    "sparse_mla_prefill_workspace_factor",
    "tokenspeed_mla_min_split_kv",
    "tq_max_kv_splits_for_cuda_graph",
    "trtllm_ragged_backend",
    "use_cudnn_prefill",
    "use_prefill_decode_attention",
    "use_prefill_query_quantization",
    "use_trtllm_attention",
    "use_trtllm_ragged_deepseek_prefill",
)
KERNEL_SPEED = (
    "enable_cutedsl_warmup",
    "enable_jit_warmup",
    "enable_rocm_segmented_attn_autotune",
    "ir_op_priority",
    "linear_backend",
    "linear_backend_per_quant",
    "monokernel",
    "sparse_indexer_topk_backend",
)


def enforce_eager(draft: Draft, value: bool) -> Outcome:
    return draft.emit_all(*NO_GRAPHS) if value else already("graphs are on by default in SGLang")


def attention_backend(draft: Draft, value: str) -> Outcome:
    """Of --attention-backend, --attention-config and VLLM_ATTENTION_BACKEND (until 0.11)."""
    name = value.upper()
    if name in ("", "AUTO"):
        return already("SGLang chooses one for the GPU and the model")
    if name in LACKING:
        return refused(f"{name}: {LACKING[name]}")
    if name in BACKENDS:
        return draft.emit("--attention-backend", BACKENDS[name])
    if name in OWN_CHOICE:
        return dropped(f"SGLang's own choice for the GPU and the model stands for {name} (speed only)")
    return dropped(f"vLLM has no '{value}': SGLang chooses one for the GPU and the model (speed only)")


def attention_config(draft: Draft, value: Any) -> Outcome:
    known = {"backend", *ATTENTION_RESULTS, *ATTENTION_SPEED}
    if (wrong := _odd(value, known)) is not None:
        return wrong
    for key, default in ATTENTION_RESULTS.items():
        if value.get(key, default) not in (default, None):
            return refused(f"SGLang has no {key}, on which results depend; leave it out")
    backend = value.get("backend")
    if backend is not None and not isinstance(backend, str):
        return invalid(f"backend is {backend!r}: give a name such as FLASHINFER")
    if backend is None or draft.given("--attention-backend") is not None:
        return dropped(_left(set(value) - {"backend"}) or "--attention-backend says it")
    return _with(attention_backend(draft, backend), _left(set(value) - {"backend"}))


def moe_backend(draft: Draft, value: str) -> Outcome:
    if value == "auto":
        return already("SGLang chooses one for the GPU and the model")
    if value not in RUNNER:
        return dropped(f"SGLang has no counterpart of {value} and chooses one itself (speed only)")
    return draft.emit("--moe-runner-backend", RUNNER[value])


def flashinfer_autotune(draft: Draft, value: bool) -> Outcome:
    return already("on by default in SGLang") if value else draft.emit("--disable-flashinfer-autotune")


def kernel_config(draft: Draft, value: Any) -> Outcome:
    if (wrong := _odd(value, {"moe_backend", "enable_flashinfer_autotune", *KERNEL_SPEED})) is not None:
        return wrong
    backend, autotune = value.get("moe_backend") or "auto", value.get("enable_flashinfer_autotune")
    if not isinstance(backend, str):
        return invalid(f"moe_backend is {backend!r}: give a name such as triton")
    outcomes = []
    if draft.given("--moe-backend") is None and backend != "auto":
        outcomes.append(moe_backend(draft, backend))
    if draft.given("--enable-flashinfer-autotune") is None and autotune is False:
        outcomes.append(flashinfer_autotune(draft, False))
    target = " ".join(outcome.target for outcome in outcomes if outcome.target)
    notes = [*(outcome.note for outcome in outcomes), _left(set(value) & set(KERNEL_SPEED))]
    note = "; ".join(filter(None, notes)) or "SGLang's own choice"
    return Outcome("convert", target, note) if target else dropped(note)


def optimization_level(draft: Draft, value: str) -> Outcome:
    if value not in ("0", "1", "2", "3"):
        return invalid(f"'{value}' is no level: vLLM has 0 to 3")
    if value == "0":
        return draft.emit_all(*NO_GRAPHS, note="no graphs, as --enforce-eager")
    return already("SGLang captures its own graphs at every level above 0")


def _odd(value: Any, known: set[str]) -> Outcome | None:
    if not isinstance(value, dict):
        return invalid(f"give a JSON object, not {value!r:.60}")
    unknown = sorted(set(value) - known)
    return invalid(f"vLLM has no {', '.join(unknown)} in it; it has {', '.join(sorted(known))}") if unknown else None


def _left(keys: set[str]) -> str:
    return f"left out, speed only: {', '.join(sorted(keys))}" if keys else ""


def _with(outcome: Outcome, note: str) -> Outcome:
    return Outcome(outcome.action, outcome.target, "; ".join(filter(None, (outcome.note, note))), firm=outcome.firm)


SPEED = "it chooses among vLLM's own kernels (speed only)"
FLAGS: tuple[Flag, ...] = (
    convert("--enforce-eager", enforce_eager, to="--cuda-graph-backend-decode disabled (and of prefill)"),
    convert("--attention-backend", attention_backend, to="--attention-backend"),
    convert("--attention-config", attention_config, to="--attention-backend"),
    convert("--moe-backend", moe_backend, to="--moe-runner-backend"),
    convert("--enable-flashinfer-autotune", flashinfer_autotune, to="--disable-flashinfer-autotune"),
    convert("--kernel-config", kernel_config, to="--moe-runner-backend"),
    convert("--optimization-level", optimization_level, to="--cuda-graph-backend-decode disabled (and of prefill)"),
    drop("--performance-mode", "it sets vLLM's own defaults (speed only)"),
    drop("--ir-op-priority", SPEED),
    drop("--monokernel", SPEED),
    drop("--linear-backend", SPEED),
    drop("--sparse-indexer-topk-backend", SPEED),
    drop("--gdn-prefill-backend", SPEED),
    drop("--kda-prefill-backend", SPEED),
    drop("--kda-decode-backend", SPEED),
)
