"""KV cache outside the GPU: the host's memory, LMCache's daemon, events."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shims.catalog import Catalog, catalogs
from shims.exceptions import Refused
from shims.flags import kv_transfer
from tests.shims.conftest import MakePlan
from tests.shims.flags.test_parallel import MOE, values

GIB = 1 << 30


MP_SERVER: dict[str, Any] = {"lmcache.mp.host": "tcp://10.0.0.1", "lmcache.mp.port": 6000}


def connector(name: str, /, role: str = "kv_both", **extra: Any) -> list[str]:
    value = {"kv_connector": name, "kv_role": role, "kv_connector_extra_config": extra}
    return ["--kv-transfer-config", json.dumps(value)]


@pytest.mark.parametrize(
    ("words", "env", "size"),
    [
        (connector("LMCacheConnectorV1"), {}, ["5"]),
        (connector("LMCacheConnectorV1"), {"LMCACHE_MAX_LOCAL_CPU_SIZE": "30"}, ["30"]),
        (connector("LMCacheConnectorV1"), {"LMCACHE_MAX_LOCAL_CPU_SIZE": "0"}, None),
        (connector("LMCacheConnectorV1"), {"LMCACHE_LOCAL_CPU": "False"}, None),
        ([*connector("OffloadingConnector", cpu_bytes_to_use=64 * GIB), "-tp", "4"], {}, ["16"]),
        ([*connector("OffloadingConnector", cpu_bytes_to_use=64 * GIB), "-dp", "2"], {}, ["64"]),
        (connector("OffloadingConnector", cpu_bytes_to_use=1), {}, ["1"]),
        (connector("SimpleCPUOffloadConnector"), {}, ["8"]),
        ([*connector("SimpleCPUOffloadConnector", cpu_bytes_to_use_per_rank=2 * GIB), "-tp", "2"], {}, ["2"]),
        (["--kv-offloading-size", "20", "-tp", "2"], {}, ["10"]),
        (["--kv-offloading-size", "0.5", "--kv-offloading-backend", "native"], {}, ["1"]),
        ([*connector("NixlConnector"), "--kv-offloading-size", "2"], {}, ["2"]),
        (["--kv-offloading-backend", "lmcache"], {}, None),
        (["--kv-transfer-config", "{}"], {}, None),
    ],
)
def test_offloading_becomes_the_host_cache(
    words: list[str], env: dict[str, str], size: list[str] | None, make_plan: MakePlan
) -> None:
    got = values(make_plan("serve", "m", *words, env=env))
    assert got.get("--hicache-size") == size
    assert ("--enable-hierarchical-cache" in got) == (size is not None)


def test_blocks_of_an_older_vllm_leave_the_size_to_sglang(make_plan: MakePlan) -> None:
    got = values(make_plan("serve", "m", *connector("OffloadingConnector", num_cpu_blocks=1000)))
    assert "--enable-hierarchical-cache" in got
    assert "--hicache-size" not in got


def test_the_radix_cache_stays_for_whatever_offloads(make_plan: MakePlan) -> None:
    got = values(make_plan("serve", "m", "--no-enable-prefix-caching", "--kv-offloading-size", "4"))
    assert "--disable-radix-cache" not in got


def test_a_cache_server_of_the_stack_is_named_as_not_used(make_plan: MakePlan) -> None:
    env = {"LMCACHE_REMOTE_URL": "lm://cache:80", "LMCACHE_CONFIG_FILE": "/x.yaml"}
    warnings = make_plan("serve", "m", *connector("LMCacheConnectorV1"), env=env).warnings
    assert any("LMCACHE_REMOTE_URL" in warning for warning in warnings)
    assert any("LMCACHE_CONFIG_FILE" in warning for warning in warnings)


@pytest.fixture
def lmcache(monkeypatch: pytest.MonkeyPatch) -> None:
    vllm, sglang = catalogs()
    there = Catalog(sglang.project, sglang.version, sglang.flags, importable=frozenset({"lmcache"}))
    monkeypatch.setattr(kv_transfer, "catalogs", lambda: (vllm, there))


@pytest.mark.usefixtures("lmcache")
@pytest.mark.parametrize(
    ("words", "place"),
    [
        (connector("LMCacheMPConnector"), {"mp_host": "localhost", "mp_port": 5555}),
        (
            connector("LMCacheMPConnector", **MP_SERVER),
            {"mp_host": "10.0.0.1", "mp_port": 6000},
        ),
        (
            ["--kv-offloading-size", "4", "--kv-offloading-backend", "lmcache"],
            {"mp_host": "localhost", "mp_port": 5555},
        ),
    ],
)
def test_lmcaches_daemon_is_told_in_a_file(words: list[str], place: dict[str, Any], make_plan: MakePlan) -> None:
    made = make_plan("serve", "m", *words, run_dir="/run/x")
    assert values(made)["--lmcache-config-file"] == ["/run/x/lmcache.yaml"]
    (file,) = made.files
    assert json.loads(file.text or "") == place


@pytest.mark.usefixtures("lmcache")
def test_lmcaches_daemon_and_attention_groups_do_not_go_together(make_plan: MakePlan) -> None:
    with pytest.raises(Refused, match="one attention group"):
        make_plan("serve", "m", "-dp", "2", *connector("LMCacheMPConnector"), model_config=MOE)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (connector("LMCacheMPConnector"), "holds no lmcache"),
        (connector("LMCacheConnectorV1", "kv_producer"), "prefill/decode split"),
        (connector("NixlConnector"), "NixlConnector has no counterpart"),
        (connector("MooncakeStoreConnector"), "--hicache-storage-backend mooncake"),
        (connector("LMCacheConnectorV1", "kv_none"), "vLLM has kv_producer"),
        (connector("OffloadingConnector"), "number of bytes"),
        (connector("OffloadingConnector", cpu_bytes_to_use="many"), "number of bytes"),
        (connector("OffloadingConnector", cpu_bytes_to_use=float("inf")), "number of bytes"),
        (["--kv-transfer-config", "[]"], "give a JSON object"),
        (["--kv-transfer-config", '"x"'], "give a JSON object"),
        (["--kv-transfer-config", '{"kv_connector": ["x"], "kv_role": "kv_both"}'], "no counterpart"),
        (["--kv-transfer-config", '{"kv_connector": "x", "kv_role": []}'], "vLLM has kv_producer"),
        (["--kv-transfer-config", '{"kv_conector": "x"}'], "no kv_conector"),
        (["--kv-transfer-config", '{"kv_connector_extra_config": 3}'], "no JSON object"),
        (["--kv-offloading-size", "nan"], "number of GiB"),
        (["--kv-offloading-size", "-1"], "number of GiB"),
        (["--kv-events-config", "[]"], "give a JSON object"),
        (["--kv-events-config", '{"x": 1}'], "vLLM has no x"),
        (["--kv-events-config", '{"hwm": "x"}'], "hwm is 'x'"),
        (["--kv-events-config", '{"publisher": "kafka"}'], "zmq and null"),
    ],
)
def test_is_refused(words: list[str], message: str, make_plan: MakePlan) -> None:
    with pytest.raises(Refused, match=message):
        make_plan("serve", "m", *words)


def test_events_are_published_with_a_warning_about_their_format(make_plan: MakePlan) -> None:
    value = '{"enable_kv_cache_events": true, "endpoint": "tcp://*:5557", "topic": "kv", "replay_endpoint": null}'
    made = make_plan("serve", "m", "--kv-events-config", value)
    (text,) = values(made)["--kv-events-config"]
    assert json.loads(text) == {"publisher": "zmq", "endpoint": "tcp://*:5557", "topic": "kv"}
    assert any("SGLang's format" in warning for warning in made.warnings)


@pytest.mark.parametrize(
    "value", ["{}", '{"publisher": "zmq"}', '{"enable_kv_cache_events": true, "publisher": "null"}']
)
def test_events_that_are_off_stay_off(value: str, make_plan: MakePlan) -> None:
    assert "--kv-events-config" not in values(make_plan("serve", "m", "--kv-events-config", value))
