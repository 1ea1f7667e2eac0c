"""Several nodes: where they meet, which one this is, who serves."""

from __future__ import annotations

from typing import Any

import pytest

from shims.catalog import Catalog, catalogs
from shims.exceptions import Refused
from shims.flags import nodes
from tests.shims.conftest import MakePlan
from tests.shims.flags.test_parallel import DENSE, MOE, values


@pytest.mark.parametrize(
    ("words", "place", "rank"),
    [
        ("-tp 4 -n 2 -r 1 --master-addr 10.0.0.1", "10.0.0.1:29501", "1"),
        ("-tp 4 -n 2 -r 1 --master-addr head.svc --master-port 1234 --headless", "head.svc:1234", "1"),
        ("-tp 4 -n 2 --master-addr fd00::1", "[fd00::1]:29501", "0"),
        ("-tp 4 -n 2", "127.0.0.1:29501", "0"),
    ],
)
def test_nodes_meet_at_the_masters_address(words: str, place: str, rank: str, make_plan: MakePlan) -> None:
    made = make_plan("serve", "m", *words.split())
    got = values(made)
    assert (got["--nnodes"], got["--node-rank"], got["--dist-init-addr"]) == (["2"], [rank], [place])
    assert made.front_door == (rank == "0")


def test_a_rank_beyond_the_first_runs_sglang_alone(make_plan: MakePlan) -> None:
    assert make_plan("serve", "m", *["-tp", "4", "-n", "2", "-r", "1"]).programs == ("sglang",)


@pytest.mark.parametrize(("words", "rank"), [("", "0"), ("--headless --data-parallel-start-rank 2", "1")])
def test_ranks_of_experts_say_how_many_nodes_there_are(words: str, rank: str, make_plan: MakePlan) -> None:
    given = "-dp 4 -dpl 2 -ep --data-parallel-address 10.0.0.1 --data-parallel-rpc-port 13345 " + words
    made = make_plan("serve", "m", *given.split(), model_config=MOE)
    got = values(made)
    assert (got["--nnodes"], got["--node-rank"], got["--dist-init-addr"]) == (["2"], [rank], ["10.0.0.1:13345"])
    assert (got["--tp-size"], got["--attn-dp-size"], got["--ep-size"]) == (["4"], ["4"], ["4"])
    assert made.front_door == (rank == "0")


@pytest.mark.parametrize("words", ["-n 1 -r 0", "-dp 2 -dpl 2 -dpa localhost -dpp 1234", "--master-addr x", "-dpb mp"])
def test_one_node_needs_no_meeting_place(words: str, make_plan: MakePlan) -> None:
    got = values(make_plan("serve", "m", *words.split(), model_config=DENSE))
    assert not {"--nnodes", "--node-rank", "--dist-init-addr"} & set(got)


@pytest.mark.parametrize(
    ("words", "config", "message"),
    [
        ("--headless", {}, "does not say which node"),
        ("-tp 2 -n 2 --headless", {}, "this is the first node"),
        ("-tp 2 -n 2 -r 1 --headless --api-server-count 2", {}, "no API server to count"),
        ("-tp 2 -n 2 -r 2", {}, "not below the number of nodes"),
        ("-r 1", {}, "give --nnodes"),
        ("-n 0", {}, "give 1 or more"),
        ("-tp 3 -n 2", {}, "do not divide"),
        ("-dp 4 -dpl 3", MOE, "the same number"),
        ("-dp 4 -dpl 0", MOE, "at least one"),
        ("-dp 4 -dpl 2", DENSE, "live on one node"),
        ("-dp 4 -dpl 2 -dpr 2", MOE, "only the first of several nodes serves"),
        ("-dp 4 -dpl 2 -dpr 1 --headless", MOE, "multiple of 2"),
        ("--master-port 0", {}, "from 1 to 65535"),
        ("-n 2 -tp 2 --master-addr a/b", {}, "not a host name"),
        ("--api-server-count 0", {}, "--headless"),
        ("--distributed-executor-backend ray", {}, "give --nnodes"),
        ("--distributed-executor-backend external_launcher", {}, "vLLM class"),
    ],
)
def test_is_refused(words: str, config: dict[str, Any], message: str, make_plan: MakePlan) -> None:
    with pytest.raises(Refused, match=message):
        make_plan("serve", "m", *words.split(), model_config=config)


def test_ray_is_used_where_the_images_sglang_can_import_it(
    make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    vllm, sglang = catalogs()
    with_ray = Catalog(sglang.project, sglang.version, sglang.flags, importable=frozenset({"ray"}))
    monkeypatch.setattr(nodes, "catalogs", lambda: (vllm, with_ray))
    got = values(make_plan("serve", "m", *["-tp", "4", "-n", "2", "--distributed-executor-backend", "ray"]))
    assert (got["--use-ray"], got["--nnodes"]) == ([], ["2"])
    assert "--dist-init-addr" not in got
