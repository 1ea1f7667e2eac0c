"""Several nodes: which one this is, where they meet, who serves. Two of vLLM's spellings mean the same to SGLang:
--nnodes with --node-rank, and --data-parallel-size-local with --headless --data-parallel-start-rank.

A rank other than the first runs SGLang alone: no middleware, no haproxy, nothing on the public port, as in vLLM.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from shims.catalog import catalogs
from shims.flags import world
from shims.flags.draft import Draft
from shims.flags.record import Flag, Outcome, already, convert, drop, dropped, invalid, ours, refused

ADDRESS = re.compile(r"[A-Za-z0-9._:%\[\]-]+")
MASTER_ADDR, MASTER_PORT = "127.0.0.1", 29501  # vLLM 0.33.0's defaults
DATA_PARALLEL_PORT = 29550


@dataclass(frozen=True, slots=True)
class Layout:
    count: int = 1
    rank: int = 0
    host: str = MASTER_ADDR
    port: int = MASTER_PORT

    @property
    def meeting_place(self) -> str:
        host = f"[{self.host}]" if ":" in self.host and not self.host.startswith("[") else self.host
        return f"{host}:{self.port}"


def layout(draft: Draft) -> Layout:
    """What is no number of nodes or no rank is refused by the flag's own record."""
    if by_data(draft):
        local = draft.given("--data-parallel-size-local")
        return Layout(
            draft.given("--data-parallel-size") // local,
            draft.given("--data-parallel-start-rank", 0) // local,
            draft.given("--data-parallel-address") or draft.given("--master-addr") or MASTER_ADDR,
            draft.given("--data-parallel-rpc-port") or DATA_PARALLEL_PORT,
        )
    return Layout(
        draft.given("--nnodes", 1),
        draft.given("--node-rank", 0),
        draft.given("--master-addr") or MASTER_ADDR,
        draft.given("--master-port") or MASTER_PORT,
    )


def by_data(draft: Draft) -> bool:
    return not unfit(draft)


def unfit(draft: Draft) -> str:
    """Why --data-parallel-size-local does not say how many nodes there are."""
    local, total = draft.given("--data-parallel-size-local"), draft.given("--data-parallel-size", 1)
    if draft.given("--nnodes", 1) > 1:
        return "give it without --nnodes, which says the same"
    if local is None or local == total:
        return "all ranks are on this node"
    if not 1 <= local < total or total % local:
        return f"{local} of {total} ranks: SGLang needs the same number, at least one, on each node"
    if not world.of(draft).experts:
        return "SGLang's replicas of a dense model live on one node: start one server a node, each with its own part"
    if draft.given("--data-parallel-start-rank", 0) % local:
        return f"--data-parallel-start-rank must be a multiple of {local}, so that it says which node this is"
    return ""


def emit(draft: Draft) -> Outcome:
    """All that SGLang must know, whichever flag brought it up."""
    here = layout(draft)
    ranks = world.of(draft).ranks
    if ranks % here.count:
        return invalid(f"{here.count} nodes do not divide {ranks} GPUs evenly, which vLLM refuses too")
    if not 0 <= here.rank < here.count:
        return invalid(f"the rank {here.rank} is not below the number of nodes, {here.count}")
    if here.rank > 0:
        draft.front_door = False
    return draft.emit_all(
        ("--nnodes", here.count), ("--node-rank", here.rank), ("--dist-init-addr", here.meeting_place)
    )


def on_ray(draft: Draft) -> bool:
    return bool(draft.given("--distributed-executor-backend") == "ray")


def nnodes(draft: Draft, value: int) -> Outcome:
    if value < 1:
        return invalid(f"{value} is not a number of nodes: give 1 or more")
    if value == 1:
        return already("one node")
    if on_ray(draft):  # its actors find each other
        return draft.emit("--nnodes", value, action="same")
    return emit(draft)


def node_rank(draft: Draft, value: int) -> Outcome:
    if value < 0:
        return invalid(f"{value} is not a rank: give 0 or more")
    if draft.given("--nnodes", 1) <= 1:
        return already("one node") if value == 0 else invalid(f"rank {value} of one node: give --nnodes")
    if on_ray(draft):
        return dropped("Ray places the ranks")
    return emit(draft)


def master_addr(draft: Draft, value: str) -> Outcome:
    if not ADDRESS.fullmatch(value):
        return invalid(f"'{value}' is not a host name or an address")
    return _meeting(draft)


def master_port(draft: Draft, value: int) -> Outcome:
    if not 1 <= value <= 65535:
        return invalid(f"{value} is not a port: give a number from 1 to 65535")
    return _meeting(draft)


def headless(draft: Draft, value: bool) -> Outcome:
    """vLLM 0.33.0's run_headless: a rank of somebody else's server, with no API of its own."""
    if not value:
        return already("off")
    if draft.given("--api-server-count"):
        return invalid("there is no API server to count: leave --api-server-count out, as in vLLM")
    if draft.given("--nnodes", 1) > 1 or by_data(draft):
        if layout(draft).rank > 0:
            draft.front_door = False
            return Outcome("ours", "SGLang alone", "no middleware, no haproxy, nothing on the public port")
        return refused(
            "this is the first node, and in SGLang that is the one that serves: leave it out here, or give this node"
            " its --node-rank"
        )
    return refused(
        "it does not say which node this is: give --nnodes and --node-rank (or, for experts on several nodes,"
        " --data-parallel-size-local and --data-parallel-start-rank)"
    )


def api_server_count(draft: Draft, value: int) -> Outcome:
    if value < 0:
        return invalid(f"{value} is not a number of servers")
    if value == 0 and not draft.given("--headless"):
        return refused("0 means no API server at all: give --headless with --node-rank")
    return dropped("one process serves here: it scales by its event loop, not by workers (speed only)")


def executor(draft: Draft, value: str) -> Outcome:
    """What an image's SGLang can import was asked when it was built; without that, Ray is not taken for granted."""
    if value in ("mp", "uni"):
        return already("SGLang starts its own worker processes")
    if value == "ray" and "ray" in (catalogs()[1].importable or ()):
        return draft.emit("--use-ray", note="for several nodes give --nnodes as well: SGLang does not count them")
    if value == "ray":
        return refused(
            "SGLang does not run inside a vLLM Ray cluster; for several nodes give --nnodes, --node-rank and"
            " --master-addr, or start one replica a node; for one node leave the flag out"
        )
    return refused(f"'{value}' is a vLLM class; leave it out: SGLang starts its own worker processes")


def _meeting(draft: Draft) -> Outcome:
    if draft.given("--nnodes", 1) <= 1 or on_ray(draft):
        return dropped("one node needs no meeting place" if not on_ray(draft) else "Ray knows the nodes")
    return emit(draft)


FLAGS: tuple[Flag, ...] = (
    convert("--distributed-executor-backend", executor, to="--use-ray"),
    Flag("--nnodes", "same", to="--nnodes", convert=nnodes),
    Flag("--node-rank", "same", to="--node-rank", convert=node_rank),
    convert("--master-addr", master_addr, to="--dist-init-addr"),
    convert("--master-port", master_port, to="--dist-init-addr"),
    ours("--headless", headless, to="SGLang alone, without a front door"),
    convert("--api-server-count", api_server_count, "one process serves here"),
    drop("--ray-workers-use-nsight", "Nsight is attached from outside, around SGLang's own command"),
)
