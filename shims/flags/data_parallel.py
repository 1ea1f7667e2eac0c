"""Data parallelism: replicas of a dense model, or attention groups over shared experts. `nodes` says where the ranks
of several nodes find each other.

What vLLM calls external and hybrid load balancing (every node serves) has no counterpart: of several nodes of SGLang
the first one serves.
"""

from __future__ import annotations

from shims.flags import nodes, world
from shims.flags.draft import Draft
from shims.flags.record import Flag, Outcome, already, convert, drop, dropped, invalid, refuse, refused

ALONE = "this server is one of several independent replicas, as the model is dense"
EVERY_NODE = (
    "in SGLang only the first of several nodes serves: run one server a rank without --data-parallel flags, or give"
    " the other nodes --headless"
)


def data_parallel_size(draft: Draft, value: int) -> Outcome:
    """SGLang 0.5.23 asserts that replicas live on one node, and refuses --dp-size beside --attn-dp-size."""
    if value < 1:
        return invalid(f"{value} is not a number of replicas: give 1 or more")
    if world.stands_alone(draft):
        return dropped(ALONE)
    if value == 1:
        return already("1: no data parallelism")
    size = world.of(draft)
    assumed = world.describe(size)
    if assumed:
        other = "leave -ep out" if size.experts else "add -ep"
        draft.warnings.append(f"--data-parallel-size {value}: the model is {assumed}; if it is not, {other}")
    if size.experts:
        note = "; ".join(filter(None, ("the ranks share the experts, as in vLLM", assumed)))
        return draft.emit_all(("--tp-size", size.tp_size), ("--attn-dp-size", value), note=note)
    if nodes.layout(draft).count > 1:
        return refused(
            "SGLang's replicas of a dense model live on one node: start one server a node without"
            f" --data-parallel flags, or with its own part of the {value}"
        )
    return draft.emit("--dp-size", value, note="; ".join(filter(None, (f"{value} replicas", assumed))))


def data_parallel_rank(draft: Draft, value: int) -> Outcome:
    if value < 0:
        return invalid(f"{value} is not a rank: give 0 or more")
    if world.stands_alone(draft) or draft.given("--data-parallel-size", 1) == 1:
        return dropped(ALONE if world.stands_alone(draft) else "the only rank")
    return refused(EVERY_NODE)


def external_load_balancer(draft: Draft, value: bool) -> Outcome:
    if not value:
        return already("off")
    return dropped(ALONE) if world.stands_alone(draft) else refused(EVERY_NODE)


def size_local(draft: Draft, value: int) -> Outcome:
    total = draft.given("--data-parallel-size", 1)
    if value == total or world.stands_alone(draft):
        return already("all ranks are on this node")
    if why := nodes.unfit(draft):
        return refused(why)
    return nodes.emit(draft)


def start_rank(draft: Draft, value: int) -> Outcome:
    if value < 0:
        return invalid(f"{value} is not a rank: give 0 or more")
    if nodes.by_data(draft) and (draft.given("--headless") or value == 0):
        return nodes.emit(draft)
    return already("the first rank") if value == 0 else refused(EVERY_NODE)


def address(draft: Draft, value: str) -> Outcome:
    if not nodes.ADDRESS.fullmatch(value):
        return invalid(f"'{value}' is not a host name or an address")
    if not nodes.by_data(draft):
        return dropped("no rank on another node reads it")
    return nodes.emit(draft)


def rpc_port(draft: Draft, value: int) -> Outcome:
    if not 1 <= value <= 65535:
        return invalid(f"{value} is not a port: give a number from 1 to 65535")
    if not nodes.by_data(draft):
        return dropped("no rank on another node reads it")
    return nodes.emit(draft)


def backend(draft: Draft, value: str) -> Outcome:
    if value == "mp":
        return already("SGLang starts its own worker processes")
    if value == "ray":
        return refused("SGLang's data parallel ranks are processes: leave it out and give each node its --node-rank")
    return invalid(f"'{value}': vLLM has mp and ray")


SUPERVISOR = "it belongs to --data-parallel-multi-port-external-lb"
FLAGS: tuple[Flag, ...] = (
    convert("--data-parallel-size", data_parallel_size, to="--dp-size N, or --tp-size T*N --attn-dp-size N"),
    convert("--data-parallel-rank", data_parallel_rank, "one server a rank"),
    convert("--data-parallel-start-rank", start_rank, to="--node-rank"),
    convert("--data-parallel-size-local", size_local, to="--nnodes"),
    convert("--data-parallel-address", address, to="--dist-init-addr"),
    convert("--data-parallel-rpc-port", rpc_port, to="--dist-init-addr"),
    convert("--data-parallel-backend", backend, to="mp is accepted, ray refused"),
    refuse("--data-parallel-hybrid-lb", EVERY_NODE),
    convert("--data-parallel-external-lb", external_load_balancer, "one server a rank"),
    refuse(
        "--data-parallel-multi-port-external-lb",
        "it starts a server a rank, each on a port of its own; run several containers instead",
    ),
    drop("--data-parallel-supervisor-port", SUPERVISOR),
    drop("--dp-supervisor-probe-interval-s", SUPERVISOR),
    drop("--dp-supervisor-probe-timeout-s", SUPERVISOR),
    drop("--dp-supervisor-probe-failure-threshold", SUPERVISOR),
)
