"""The table as a whole: nothing of vLLM's is without a decision, and nothing of ours is without SGLang."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from shims import catalog, cli, plan
from shims.catalog import catalogs
from shims.exceptions import Refused
from shims.facts import Facts
from shims.flags import AREAS, TABLE
from tests.server import ROOT
from tests.shims.conftest import MakePlan
from tests.shims.flag_samples import every_sample


def test_every_flag_of_vllms_catalog_has_one_record() -> None:
    records = [flag.name for area in AREAS for flag in area.FLAGS]
    assert sorted(records) == sorted(flag.name for flag in catalogs()[0].flags)


def test_the_readme_counts_them_all() -> None:
    [(count, version)] = re.findall(r"All (\d+) flags of vLLM ([\d.]+),", (ROOT / "README.md").read_text())
    vllm = catalogs()[0]
    assert int(count) == len(vllm.flags)
    assert vllm.version.startswith(f"{version}.")


def test_a_record_that_ignores_or_refuses_says_why() -> None:
    assert [f.name for f in TABLE.values() if not f.why and not f.to] == []
    assert [f.name for f in TABLE.values() if f.action in ("drop", "refuse") and not f.why] == []
    assert [f.name for f in TABLE.values() if f.action in ("same", "rename") and not (f.to or f.convert)] == []
    assert [f.name for f in TABLE.values() if f.action in ("convert", "ours") and f.convert is None] == []


def test_the_target_of_a_renamed_flag_is_sglangs() -> None:
    sglang = catalogs()[1].by_spelling
    names = {f.name: f.to for f in TABLE.values() if f.action in ("same", "rename") and f.convert is None}
    assert {name: to for name, to in names.items() if to not in sglang} == {}


@pytest.mark.parametrize("words", every_sample(), ids=" ".join)
def test_every_value_has_a_decision_with_a_reason_or_a_target(words: tuple[str, ...], make_plan: MakePlan) -> None:
    name = catalogs()[0].by_spelling[words[0]].name
    try:
        made = make_plan("serve", "org/model", *words)
    except Refused as error:
        refusals = error.refusals
    else:
        refusals = ()
    if refusals:
        assert all(why for _, why in refusals)
        return
    decisions = [d for d in made.decisions if d.kind == "flag" and catalogs()[0].by_spelling.get(d.name)]
    decision = next(d for d in decisions if catalogs()[0].by_spelling[d.name].name == name)
    assert decision.target if decision.action in ("rename", "convert", "ours") else decision.target or decision.note


def test_nothing_that_we_add_is_missing_in_sglang(make_plan: MakePlan) -> None:
    assert [warning for warning in make_plan("serve", "org/model").warnings if "not added" in warning] == []


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An image whose SGLang is not the one that the table was written for."""
    for name in ("vllm", "sglang"):
        (tmp_path / f"{name}.json").write_text((catalog.HERE / f"{name}.json").read_text())
    document = json.loads((catalog.HERE / "sglang.json").read_text())
    document["version"] = "0.4.0"
    document["importable"] = {"ray": False}
    lacking = ("--hicache-size", "--random-seed")
    document["flags"] = [record for record in document["flags"] if record["name"] not in lacking]
    (tmp_path / "image.json").write_text(json.dumps(document))
    monkeypatch.setattr(catalog, "HERE", tmp_path)
    catalogs.cache_clear()
    yield
    catalogs.cache_clear()


@pytest.mark.usefixtures("image")
def test_a_flag_that_this_images_sglang_lacks_is_refused_by_name() -> None:
    words = ["serve", "m", "--kv-transfer-config", '{"kv_connector": "LMCacheConnectorV1", "kv_role": "kv_both"}']
    with pytest.raises(Refused, match=r"--kv-transfer-config: SGLang 0\.4\.0 has no --hicache-size"):
        plan.make(cli.from_words(words), {}, Facts())


@pytest.mark.usefixtures("image")
def test_what_we_only_add_is_left_out_with_a_line_and_an_untested_sglang_is_said_aloud() -> None:
    made = plan.make(cli.from_words(["serve", "m"]), {}, Facts())
    assert "--random-seed" not in made.engines[0].argv
    assert any("SGLang 0.4.0 has no --random-seed" in warning for warning in made.warnings)
    assert any("SGLang 0.4.0 is not a tested version" in warning for warning in made.warnings)
