"""The catalogs' upkeep: parsers become records, records become files, and a new release is told apart from an old one.
The network is not used; `make catalog` is.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import hashlib
import importlib
import io
import json
import os
import subprocess
import sys
import tarfile
import textwrap
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from cpu_engine.places import Places
from shims import catalog
from shims.catalog.build import changes, fetch, files, image, releases, variables
from shims.catalog.build.asking import AskError, ask
from shims.catalog.build.files import CatalogFile
from shims.catalog.build.inside import records, stubs

INSIDE = Path(records.__file__).parent


# --- an argparse parser as records ---


def optional_type(return_type: Callable[[str], Any]) -> Callable[[str], Any]:
    """As vLLM's: what is inside is found in the closure."""

    def _optional_type(text: str) -> Any:
        return return_type(text) if text else None

    return _optional_type


def taken(*spellings: str, with_defaults: bool = True, **options: Any) -> dict[str, Any]:
    parser = argparse.ArgumentParser()
    parser.add_argument("model", nargs="?")
    parser.add_argument(*spellings, **options)
    (record,) = records.records(parser, with_defaults)
    return record


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"action": "store_true"}, {"arity": "switch", "default": False}),
        ({"type": int, "default": 8}, {"arity": "one", "type": "int", "default": 8}),
        ({"type": json.loads}, {"arity": "one", "type": "json"}),
        ({"nargs": "+"}, {"arity": "many", "type": "str"}),
        ({"nargs": "*"}, {"arity": "many", "type": "str"}),
        ({"nargs": "?"}, {"arity": "optional", "type": "str"}),
        ({"action": "append", "default": []}, {"arity": "append", "type": "str", "default": []}),
        ({"default": argparse.SUPPRESS}, {"arity": "one", "type": "str"}),
        ({"default": object()}, {"arity": "one", "type": "str"}),
        ({"default": {"a": object()}}, {"arity": "one", "type": "str"}),
        ({"choices": {"b", "a"}}, {"arity": "one", "type": "str", "choices": ["a", "b"]}),
        ({"type": lambda text: text.lower()}, {"arity": "one", "type": "str"}),
        (
            {"type": optional_type(float), "choices": [2.0, 1.0, None]},
            {"arity": "one", "type": "float", "choices": [2.0, 1.0], "optional": True},
        ),
        (
            {"type": optional_type(str), "choices": ["swap", "None"]},
            {"arity": "one", "type": "str", "choices": ["swap"], "optional": True},
        ),
        ({"type": str, "choices": ["None"]}, {"arity": "one", "type": "str", "choices": ["None"]}),
    ],
)
def test_an_argument_becomes_a_record(options: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    assert taken("--flag", **options) == {"name": "--flag", **expected}


def test_the_first_long_spelling_names_a_flag_and_the_others_are_aliases() -> None:
    record = taken("-f", "--flag", "--other", action=argparse.BooleanOptionalAction)
    assert record == {
        "name": "--flag",
        "aliases": ["-f", "--other"],
        "negations": ["--no-flag", "--no-other"],
        "arity": "switch",
    }


def test_negations_that_an_action_names_are_found_though_it_hides_them() -> None:
    class EnableDisable(argparse.BooleanOptionalAction):
        def __init__(self, option_strings: list[str], dest: str, **options: Any) -> None:
            super().__init__(option_strings, dest, **options)
            self.negative_option_strings = {"--no-enable-x", "--disable-x"}
            self.option_strings = [*self.option_strings, "--disable-x"]

    parser = argparse.ArgumentParser()
    parser.add_argument("--enable-x", action=EnableDisable).option_strings = ["--enable-x"]
    (record,) = records.records(parser, with_defaults=True)
    assert record["negations"] == ["--no-enable-x", "--disable-x"]


def test_defaults_are_left_out_on_request() -> None:
    assert "default" not in taken("--flag", default="x", with_defaults=False)


# --- what runs in another interpreter ---


def test_what_runs_beside_sglang_needs_python_3_10_and_nothing_else() -> None:
    for path in INSIDE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(), feature_version=(3, 10))):
            if isinstance(node, ast.Import):
                assert {name.name.split(".")[0] for name in node.names} <= sys.stdlib_module_names
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 1 or (node.module or "").split(".")[0] in sys.stdlib_module_names


def test_a_stub_can_be_called_subclassed_compared_and_used_as_a_decorator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "meta_path", [stubs.Stubs(["heavy"]), *sys.meta_path])
    for name in ("heavy", "heavy.nn"):
        monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.delitem(sys.modules, name)
    heavy = importlib.import_module("heavy")
    nn = importlib.import_module("heavy.nn")

    class Layer(nn.Module):  # type: ignore[misc, name-defined]
        kind = "mine"

    def function() -> int:
        return 1

    assert Layer().kind == "mine"
    assert heavy.compile(function) is function
    assert heavy.compile(mode="x")(function) is function
    assert heavy.schema("x") is heavy.schema("y")
    assert not heavy.cuda.device_count()
    assert list(heavy.devices) == []
    assert not hasattr(heavy, "npu")


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    """A folder that holds an SGLang of three flags, which imports torch."""
    module = tmp_path / "sglang" / "srt" / "server_args.py"
    module.parent.mkdir(parents=True)
    (tmp_path / "sglang" / "__init__.py").write_text('__version__ = "9.9.9"\n')
    module.write_text(
        textwrap.dedent("""
        import torch

        print("a line that is no answer")

        class ServerArgs:
            @staticmethod
            def add_cli_args(parser):
                parser.add_argument("--model-path", "--model", type=str, required=True)
                parser.add_argument("--tp-size", type=int, default=1)
                parser.add_argument("--is-embedding", action="store_true")
        """)
    )
    return tmp_path


FLAGS = [
    {"name": "--model-path", "aliases": ["--model"], "arity": "one", "type": "str"},
    {"name": "--tp-size", "arity": "one", "type": "int"},
    {"name": "--is-embedding", "arity": "switch"},
]


def test_sglang_is_asked_in_a_process_of_its_own(engine: Path) -> None:
    answer = ask(sys.executable, "sglang", path=engine, stubs=["torch"], packages=["json", "no_such_package"])
    assert answer.flags == FLAGS
    assert answer.version == "9.9.9"
    assert answer.importable == {"json": True, "no_such_package": False}
    assert "torch" not in sys.modules


def test_vllm_is_asked_at_its_old_place_too(tmp_path: Path) -> None:
    for package in ("vllm", "vllm/entrypoints", "vllm/entrypoints/openai", "vllm/utils"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    (tmp_path / "vllm/utils/__init__.py").write_text("from argparse import ArgumentParser as FlexibleArgumentParser\n")
    (tmp_path / "vllm/entrypoints/openai/cli_args.py").write_text(
        "def make_arg_parser(parser):\n    parser.add_argument('--port', type=int, default=8000)\n    return parser\n"
    )
    answer = ask(sys.executable, "vllm", path=tmp_path)
    assert answer.flags == [{"name": "--port", "arity": "one", "type": "int", "default": 8000}]


def test_a_parser_that_cannot_be_built_is_told_in_the_last_words_of_its_interpreter(tmp_path: Path) -> None:
    with pytest.raises(AskError, match=r"^ModuleNotFoundError: No module named 'sglang'$"):
        ask(sys.executable, "sglang", path=tmp_path)
    with pytest.raises(AskError, match="cannot be started: No such file"):
        ask(tmp_path / "python", "sglang")


def test_a_start_imports_nothing_of_the_build() -> None:
    code = "import render_config, shims.__main__, sys; print([m for m in sys.modules if 'catalog.build' in m])"
    done = subprocess.run([sys.executable, "-c", code], cwd=Places().root, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


# --- the image's build ---


@pytest.fixture
def taken_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    written = tmp_path / "image.json"
    monkeypatch.setattr(image, "IMAGE", written)
    return written


def build_image(monkeypatch: pytest.MonkeyPatch, python: str = sys.executable) -> int:
    monkeypatch.setattr(sys, "argv", ["image", "--python", python])
    return image.main()


def test_an_image_gets_the_catalog_of_its_own_sglang(
    engine: Path, taken_image: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """torch is missing here, as kernels are that want a GPU: the second try is with stubs."""
    monkeypatch.setenv("PYTHONPATH", str(engine))
    assert build_image(monkeypatch) == 0
    written = files.read(taken_image)
    assert (written.project, written.version, written.flags) == ("sglang", "9.9.9", FLAGS)
    assert written.importable == {"lmcache": False, "modelscope": False, "ray": False}
    assert capsys.readouterr().out == "SGLang 9.9.9: 3 flags\n"


def test_an_image_whose_sglang_cannot_be_asked_is_not_built(
    engine: Path, taken_image: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (engine / "sglang/srt/server_args.py").write_text("raise RuntimeError('broken')\n")
    monkeypatch.setenv("PYTHONPATH", str(engine))
    assert build_image(monkeypatch) == 1
    assert not taken_image.exists()
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "the catalog of the SGLang in this base image cannot be taken: RuntimeError: broken"


@pytest.mark.parametrize("python", [sys.executable, "no-such-python"])
def test_an_image_without_sglang_is_built_with_a_warning(
    python: str, taken_image: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build_image(monkeypatch, python) == 0
    assert not taken_image.exists()
    assert capsys.readouterr().err.startswith(f"WARNING: {python} has no SGLang")


# --- files ---


@pytest.mark.parametrize("name", ["vllm", "sglang"])
def test_a_catalog_that_is_read_and_written_is_the_same_bytes(name: str) -> None:
    path = files.path_of(name)
    assert files.text(files.read(path)) == path.read_text()


def test_everything_that_is_written_is_read_again(tmp_path: Path) -> None:
    whole = CatalogFile("vllm", "1", [{"name": "--a", "arity": "switch"}], [{"name": "VLLM_A"}], {"ray": True})
    files.write(tmp_path / "x.json", whole)
    assert files.read(tmp_path / "x.json") == whole
    assert '\n  {"name": "VLLM_A"}\n' in files.text(whole)


def test_the_reader_of_a_start_knows_every_key_that_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "HERE", tmp_path)
    flag: dict[str, Any] = {"name": "--a", "aliases": ["-a"], "negations": ["--no-a"], "choices": ["x"]}
    flag |= {"arity": "one", "type": "str", "optional": True, "default": "x", "only_in": ["1"]}
    files.write(tmp_path / "image.json", CatalogFile("sglang", "2", [flag], [{"name": "A"}], {"ray": True, "x": False}))
    read = catalog.load("image")
    assert (read.project, read.version) == ("sglang", "2")
    assert (read.variables, read.importable) == (frozenset({"A"}), frozenset({"ray"}))
    assert dataclasses.asdict(read.flags[0]) == {k: tuple(v) if isinstance(v, list) else v for k, v in flag.items()}


# --- releases ---


def test_a_releases_flags_come_first_and_then_those_that_only_older_ones_had() -> None:
    new: list[files.Record] = [
        {"name": "--a"},
        {"name": "--enable-b", "aliases": ["--b"], "negations": ["--disable-b"]},
    ]
    old = [{"name": "--a", "type": "old"}, {"name": "--disable-b"}, {"name": "--c", "type": "newer"}]
    oldest = [{"name": "--c", "type": "older"}, {"name": "--d"}]
    assert releases.merged({"3": new, "2": old, "1": oldest}) == [
        *new,
        {"name": "--c", "type": "newer", "only_in": ["2", "1"]},
        {"name": "--d", "only_in": ["1"]},
    ]


def test_variables_are_read_without_running_anything() -> None:
    source = """
import torch
environment_variables: dict[str, object] = {
    "VLLM_HOST_IP": lambda: os.getenv("VLLM_HOST_IP", ""),
    # a comment
    "VLLM_PORT": get_port, **others,
}
raise SystemExit
"""
    assert variables.names(source) == ["VLLM_HOST_IP", "VLLM_PORT"]
    assert variables.names("environment_variables = {'A': 1}") == ["A"]
    with pytest.raises(ValueError, match="no table"):
        variables.names("other = {}")


# --- what is downloaded ---

PAGE = """<a href="../../files/vllm-1.0.tar.gz#sha256=abc">vllm-1.0.tar.gz</a>
<a href="https://x/vllm-1.0-cp38-abi3-manylinux_x86_64.whl#sha256=def">wheel</a>
<a href="https://x/sglang-2.0-cp312-cp312-linux_x86_64.whl#sha256=312">wheel</a>
<a href="https://x/sglang-2.0-cp311-cp311-linux_x86_64.whl#sha256=311">wheel</a>
<a href="https://x/sglang-2.0.post1-py3-none-any.whl">wheel</a>"""


def test_the_sdist_is_chosen_or_a_wheel_where_there_is_none() -> None:
    page = "https://index/simple/vllm/"
    assert fetch.choose(PAGE, page, "vllm", "1.0") == ("https://index/files/vllm-1.0.tar.gz", "abc")
    assert fetch.choose(PAGE, page, "sglang", "2.0") == ("https://x/sglang-2.0-cp311-cp311-linux_x86_64.whl", "311")
    assert fetch.choose(PAGE, page, "sglang", "2.0.post1") == ("https://x/sglang-2.0.post1-py3-none-any.whl", "")
    with pytest.raises(fetch.FetchError, match=r"has no vllm 1\.1"):
        fetch.choose(PAGE, page, "vllm", "1.1")


def test_a_wheel_and_an_sdist_unpack_to_the_same_folder(tmp_path: Path) -> None:
    wheel, sdist = tmp_path / "vllm-1.0-py3-none-any.whl", tmp_path / "vllm-1.0.tar.gz"
    names = ("vllm/envs.py", "vllm/_C.so", "tests/x.py", "vllm/../../outside.py")
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in names:
            archive.writestr(name, "text")
    with tarfile.open(sdist, "w:gz") as packed:
        for name in names:
            member = tarfile.TarInfo(f"vllm-1.0/{name}")
            member.size = 4
            packed.addfile(member, io.BytesIO(b"text"))
    for archive_path in (wheel, sdist):
        folder = tmp_path / archive_path.suffix / "unpacked"
        fetch.unpack(archive_path, folder, "vllm", "1.0")
        found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
        assert found == {"vllm/envs.py", "vllm-1.0.dist-info/METADATA"}
        assert not (folder.parent / "outside.py").exists()


def test_a_download_with_another_hash_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "sglang-2.0-py3-none-any.whl"
    with zipfile.ZipFile(archive, "w") as wheel:
        wheel.writestr("sglang/__init__.py", "")
    data = archive.read_bytes()
    monkeypatch.setattr(fetch, "CACHE", tmp_path / "cache")
    for right in (False, True):
        wanted = hashlib.sha256(data if right else b"other").hexdigest()
        page = f'<a href="{archive.name}#sha256={wanted}">'
        monkeypatch.setattr(fetch, "_read", lambda url, page=page: data if url.endswith(".whl") else page.encode())
        if right:
            assert (fetch.source("sglang", "2.0") / "sglang" / "__init__.py").exists()
            assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["sglang-2.0"]
        else:
            with pytest.raises(fetch.FetchError, match="does not have the hash"):
                fetch.source("sglang", "2.0")


# --- what changed ---


def test_what_a_new_release_added_removed_and_changed_is_told_by_flag() -> None:
    old = CatalogFile(
        "vllm",
        "1",
        [
            {"name": "--same", "arity": "one", "type": "str", "choices": ["a", "b"]},
            {"name": "--changed", "arity": "one", "type": "str", "choices": ["a", "b"], "default": 1},
            {"name": "--gone", "arity": "switch"},
        ],
        [{"name": "A"}, {"name": "B"}],
    )
    new = CatalogFile(
        "vllm",
        "2",
        [
            {"name": "--same", "arity": "one", "type": "str", "choices": ["b", "a"]},
            {"name": "--changed", "arity": "many", "type": "str", "choices": ["b", "c"]},
            {"name": "--added", "arity": "one", "type": "int"},
            {"name": "--decided", "arity": "switch"},
        ],
        [{"name": "B"}, {"name": "C"}],
    )
    decided = {"--same", "--changed", "--decided"}
    assert list(changes.report(old, new, decided, {"--gone": ["shims/flags/x.py"]})) == [
        "vllm 1 -> 2",
        "  changed  --changed: arity one -> many; has choices c and lost choices a; default 1 -> none",
        "  added    --added (one int): no record in shims/flags yet",
        "  added    --decided (switch)",
        "  removed  --gone: still named in shims/flags/x.py",
        "  added    1 variables: C",
        "  removed  1 variables: A",
        "  4 flags, 1 of them without a record in shims/flags",
    ]


def test_our_own_files_that_name_a_flag_are_found(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text('draft.emit("--tp-size", 2)\n')
    assert changes.mentions(["--tp-size", "--tp"], tmp_path) == {"--tp-size": [str(tmp_path / "x.py")]}


# --- the real thing ---


@pytest.mark.engine
def test_the_catalog_is_what_the_engines_sglang_says() -> None:
    python = Places().python
    if not python.exists():
        pytest.fail("the CPU engine is not installed: run `make engine`")
    # Beside a CPU torch, torchvision's operators are missing; nothing else is a stub.
    env = {**os.environ, "SGLANG_USE_CPU_ENGINE": "1"}
    answer = ask(python, "sglang", stubs=["torchvision"], env=env)
    known = files.read(files.path_of("sglang"))
    assert answer.version == known.version
    assert changes.by_name(answer.flags) == changes.by_name(known.flags)
    assert [flag["name"] for flag in answer.flags] == [flag["name"] for flag in known.flags]
