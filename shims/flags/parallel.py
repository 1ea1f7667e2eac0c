"""How many GPUs, and which way the model is spread over them: tensor, pipeline and context parallelism, devices,
NUMA nodes. `world` has the sizes, `data_parallel`, `nodes` and `experts` the rest.
"""

from __future__ import annotations

from shims.flags import world
from shims.flags.draft import Draft
from shims.flags.record import Flag, Outcome, already, convert, drop, dropped, invalid, refuse, refused, rename, same

INTERLEAVED = ("DeepseekV32ForCausalLM",)  # SGLang 0.5.23 refuses zigzag for it
DEVICES = ("cuda", "cpu", "xpu", "hpu")
VISIBLE = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")


def tensor_parallel_size(draft: Draft, value: int) -> Outcome:
    if value < 1:
        return invalid(f"{value} is not a number of GPUs: give 1 or more")
    size = world.of(draft).tp_size
    note = "" if size == value else "SGLang counts all ranks that share the experts or a context"
    return draft.emit("--tp-size", size, note=note)


def pipeline_parallel_size(draft: Draft, value: int) -> Outcome:
    return (
        draft.emit("--pp-size", value) if value >= 1 else invalid(f"{value} is not a number of stages: give 1 or more")
    )


def prefill_context_parallel_size(draft: Draft, value: int) -> Outcome:
    """SGLang 0.5.23 does not start without --cp-strategy, nor with --dcp-size beside it."""
    if value <= 1:
        return already("1: no context parallelism") if value == 1 else invalid(f"{value}: give 1 or more")
    if draft.given("--decode-context-parallel-size", 1) > 1:
        return refused("SGLang cannot combine it with --decode-context-parallel-size; leave one of them out")
    architectures = draft.facts.architectures
    strategy = "interleave" if any(known in name for name in architectures for known in INTERLEAVED) else "zigzag"
    draft.warnings.append("--prefill-context-parallel-size: SGLang has it for few architectures; watch its start")
    return draft.emit_all(
        ("--tp-size", world.of(draft).tp_size),
        ("--attn-cp-size", value),
        ("--enable-prefill-cp",),
        ("--cp-strategy", strategy),
    )


def decode_context_parallel_size(draft: Draft, value: int) -> Outcome:
    if value < 1:
        return invalid(f"{value}: give 1 or more")
    if value == 1:
        return already("1: no context parallelism")
    if world.of(draft).tensor % value:
        return invalid(f"{value} does not divide --tensor-parallel-size {world.of(draft).tensor}")
    return draft.emit("--dcp-size", value, action="rename")


def dcp_comm_backend(draft: Draft, value: str) -> Outcome:
    """SGLang 0.5.23 raises for a2a without --dcp-size."""
    if "--dcp-size" not in draft.engine_args:
        return dropped("without --decode-context-parallel-size it has no effect")
    return draft.emit("--dcp-comm-backend", value, action="same")


def dcp_q_replicate(draft: Draft, value: bool) -> Outcome:
    if "--dcp-size" not in draft.engine_args:
        return dropped("without --decode-context-parallel-size it has no effect")
    if value and draft.given("--dcp-comm-backend") == "ag_rs":
        return dropped("SGLang has it for the a2a backend only (speed only)")
    return draft.emit("--dcp-replicate-q-proj" if value else "--no-dcp-replicate-q-proj")


def device_ids(draft: Draft, value: str) -> Outcome:
    """vLLM takes numbers as places in CUDA_VISIBLE_DEVICES where that is set, and UUIDs as they are."""
    ids = [part.strip() for part in value.split(",")]
    if not all(ids) or len(set(ids)) != len(ids) or any(part.startswith("-") for part in ids):
        return invalid(f"'{value}' is not a list of different devices, such as 0,1")
    numbers = [part for part in ids if part.isascii() and part.isdecimal()]
    if numbers and len(numbers) != len(ids):
        return invalid(f"'{value}' mixes numbers and UUIDs")
    outer = next((draft.env[name] for name in VISIBLE if draft.env.get(name)), "")
    if numbers and outer:
        visible = [part.strip() for part in outer.split(",")]
        if beyond := [part for part in ids if int(part) >= len(visible)]:
            return invalid(f"{beyond[0]} is out of range: {len(visible)} devices are visible ({outer})")
        ids = [visible[int(part)] for part in ids]
    names = [name for name in VISIBLE if name in draft.env] or ["CUDA_VISIBLE_DEVICES"]
    for name in names:
        draft.engine_env[name] = ",".join(ids)
    return Outcome("convert", " ".join(f"{name}={','.join(ids)}" for name in names))


def device(draft: Draft, value: str) -> Outcome:
    if value == "auto":
        return already("SGLang finds the device by itself")
    return draft.emit("--device", value) if value in DEVICES else refused(f"SGLang does not run on '{value}'")


def numa_bind_nodes(draft: Draft, value: list[int]) -> Outcome:
    """One node a GPU in both; SGLang 0.5.23 fails with an IndexError where a GPU has none."""
    if not draft.given("--numa-bind"):
        return invalid("it needs --numa-bind, as in vLLM")
    if any(node < 0 for node in value):
        return invalid("a NUMA node is 0 or more")
    needed = world.of(draft).ranks * world.of(draft).replicas // max(1, draft.given("--nnodes", 1))
    if len(value) < needed:
        return invalid(f"{len(value)} NUMA nodes for {needed} GPUs: give one for each")
    return draft.emit("--numa-node", *value)


SPEED = "it tunes vLLM's own communication (speed only)"
FLAGS: tuple[Flag, ...] = (
    Flag("--tensor-parallel-size", "rename", to="--tp-size", convert=tensor_parallel_size),
    Flag("--pipeline-parallel-size", "rename", to="--pp-size", convert=pipeline_parallel_size),
    convert(
        "--prefill-context-parallel-size",
        prefill_context_parallel_size,
        to="--enable-prefill-cp --attn-cp-size N --tp-size T*N",
    ),
    Flag("--decode-context-parallel-size", "rename", to="--dcp-size", convert=decode_context_parallel_size),
    Flag("--dcp-comm-backend", "same", to="--dcp-comm-backend", convert=dcp_comm_backend),
    Flag("--dcp-q-replicate", "rename", to="--dcp-replicate-q-proj", convert=dcp_q_replicate),
    drop("--dcp-kv-cache-interleave-size", SPEED),
    drop("--cp-kv-cache-interleave-size", SPEED),
    same("--disable-custom-all-reduce"),
    rename("--distributed-timeout-seconds", "--dist-timeout"),
    drop("--cpu-distributed-timeout-seconds", "SGLang has one timeout for all of it: --distributed-timeout-seconds"),
    convert("--device", device, to="--device"),
    convert("--device-ids", device_ids, to="CUDA_VISIBLE_DEVICES"),
    drop("--numa-bind", "SGLang binds each rank to its GPU's NUMA node by itself"),
    convert("--numa-bind-nodes", numa_bind_nodes, to="--numa-node"),
    drop("--numa-bind-cpus", "SGLang binds to whole NUMA nodes (speed only)"),
    drop("--max-parallel-loading-workers", "SGLang's ranks load side by side (start-up speed only)"),
    drop("--enable-hc-sp", SPEED),
    drop("--enable-batch-sharded-sampling", SPEED),
    drop("--enable-shm-tensor-arena", SPEED),
    refuse("--override-neuron-config", "SGLang does not run on Neuron; leave it out"),
)
