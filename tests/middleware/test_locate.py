"""Where a model's files are found, and what becomes of token ids while they are not."""

import asyncio
import json
import logging
from pathlib import Path

import pytest

from middleware.locate import Locator, NotHere
from middleware.model import Model
from middleware.policy import Policy
from middleware.settings import Settings

VARIABLES = ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with two snapshots of org/name, in a place that no variable names."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    hub = tmp_path / "huggingface" / "hub"
    repository = hub / "models--org--name"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc123\n")
    for commit, size in (("abc123", 7), ("def456", 9)):
        (repository / "snapshots" / commit).mkdir(parents=True)
        (repository / "snapshots" / commit / "config.json").write_text(json.dumps({"vocab_size": size}))
    return hub


@pytest.mark.parametrize(
    ("variable", "above"),
    [("HF_HUB_CACHE", 0), ("HUGGINGFACE_HUB_CACHE", 0), ("HF_HOME", 1), ("XDG_CACHE_HOME", 2)],
)
def test_the_environment_names_the_cache(
    variable: str, above: int, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, str([cache, *cache.parents][above]))
    assert Locator(Policy()).folder("org/name").name == "abc123"


def test_the_command_line_names_the_cache_and_the_revision(cache: Path) -> None:
    assert Locator(Policy(download_dir=str(cache), revision="def456")).folder("org/name").name == "def456"
    with pytest.raises(NotHere, match="revision v2"):
        Locator(Policy(download_dir=str(cache), revision="v2")).folder("org/name")


def test_where_sglang_has_put_the_model_comes_second(cache: Path, tmp_path: Path) -> None:
    locator = Locator(Policy(download_dir=str(cache)))
    assert locator.folder("s3://bucket/model", str(tmp_path)) == tmp_path
    assert locator.folder("org/name", str(tmp_path)).name == "abc123"


@pytest.mark.parametrize("model", ["/no/such/folder", "./x", "a/b/c", "org/other", "../no-such-folder", "x\0y", ""])
def test_a_model_that_is_nowhere_is_said_to_be(model: str, cache: Path) -> None:
    with pytest.raises(NotHere):
        Locator(Policy()).folder(model)


def test_the_vocabulary_of_a_downloaded_model_is_known(cache: Path) -> None:
    policy = Policy(model_path="org/name", download_dir=str(cache))
    model = Model(Settings("127.0.0.1", 1, policy=policy))
    asyncio.run(model.learn([], {}))
    assert model.vocabulary == 7


def test_an_unknown_vocabulary_is_said(cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = Model(Settings("127.0.0.1", 1, policy=Policy(model_path="org/other")))
    with caplog.at_level(logging.WARNING, "middleware.model"):
        asyncio.run(model.learn([], {}))
    assert model.vocabulary == 0
    assert "holds no org/other" in caplog.text
