"""A place to write where the default one is none, for a user that owns nothing: as pods with any uid are."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

import render_config
from shims import caches, cli, facts, places, plan, programs
from shims.catalog import catalogs
from shims.exceptions import CommandLineError
from shims.facts import Facts
from shims.places import DEFAULTS, Places
from shims.plan import Plan
from tests.shims.conftest import MakePlan

ANYBODY = 23456  # a uid that /etc/passwd does not name
VERSION = catalogs()[1].version
EVERYWHERE = frozenset(DEFAULTS)


@pytest.fixture
def world() -> Iterator[Path]:
    """A folder that every user can walk through, which pytest's own is not."""
    folder = Path(tempfile.mkdtemp(prefix="vllm-shim-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def as_anybody(work: Callable[[], None]) -> None:
    """In a child that is that user; as oneself where one is not root."""
    made({}, Path("/nowhere"))  # what Python imports late, it could not read any more as another user
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(ANYBODY)
                os.setuid(ANYBODY)
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def locked(folder: Path) -> Path:
    folder.mkdir()
    folder.chmod(0o555)
    return folder


def volume(folder: Path) -> Path:
    folder.mkdir()
    folder.chmod(0o777)
    return folder


def made(env: Mapping[str, str], world: Path, *words: str) -> Plan:
    env = {"VLLM_SHIM_RUN_DIR": f"{world}/run", "PATH": os.environ["PATH"], **env}
    command = cli.from_words(["serve", "m", *words])
    return plan.make(command, env, facts.gather(command, env))


def test_a_user_that_owns_nothing_gets_a_home_that_can_be_written(world: Path) -> None:
    home, models = locked(world / "home"), volume(world / "models")
    env = {"HOME": str(home), "HF_HOME": str(models)}

    def start() -> None:
        chosen = made(env, world)
        engine = {"PATH": os.environ["PATH"], **env, **chosen.engines[0].env}
        caches.make(chosen.engines[0].env, chosen.facts.places)
        defaults = 'mkdir -p "$HOME/.triton" "$HOME/.cache/x" && touch "$TRITON_CACHE_DIR/k" "$SGLANG_CACHE_DIR/k"'
        subprocess.run(["/bin/sh", "-ec", defaults], check=True, env=engine)
        assert all(places.writable(place) for place in places.in_force(engine).values())
        roots = [p for p in models.iterdir() if p.name.startswith(".vllm-to-sglang")]
        assert roots == [models / f".vllm-to-sglang-{os.geteuid()}"]
        assert engine["TRITON_CACHE_DIR"].startswith(f"{roots[0]}/sglang-{VERSION}-")
        assert stat.S_IMODE(roots[0].stat().st_mode) == 0o700
        assert engine["HF_HOME"] == str(models)

    as_anybody(start)
    assert not list(home.iterdir())


def test_the_same_user_finds_its_caches_again_and_another_gets_its_own(world: Path) -> None:
    env = {"HOME": str(locked(world / "home")), "HF_HOME": str(volume(world / "models"))}

    def start() -> None:
        chosen = made(env, world)
        caches.make(chosen.engines[0].env, chosen.facts.places)
        Path(chosen.engines[0].env["TRITON_CACHE_DIR"], "kernel").touch()
        again = made(env, world)
        caches.make(again.engines[0].env, again.facts.places)
        assert Path(again.engines[0].env["TRITON_CACHE_DIR"], "kernel").exists()
        # Kubernetes' fsGroup opens the whole volume to its group; everybody is too many.
        root = Path(chosen.facts.places.root)
        root.chmod(0o2770)
        assert made(env, world).facts.places.root == str(root)
        root.chmod(0o777)
        assert made(env, world).facts.places.root == f"{world}/run/cache"

    as_anybody(start)


def test_a_home_that_can_be_written_stays(world: Path) -> None:
    chosen = made({"HOME": str(volume(world / "home")), "USER": "me"}, world)
    assert not set(chosen.engines[0].env) & {*DEFAULTS, "USER"}
    assert caches.folders(chosen.engines[0].env, chosen.facts.places) == []


def test_without_a_volume_the_run_directory_has_them(make_plan: MakePlan) -> None:
    where = Places(root="/run/x/cache", architecture="gfx942", unwritable=EVERYWHERE)
    env = make_plan("serve", "m", places=where).engines[0].env
    base = f"/run/x/cache/sglang-{VERSION}-gfx942"
    assert env["HOME"] == f"{base}/home"
    assert env["TRITON_CACHE_DIR"] == f"{base}/triton"
    assert env["HF_HOME"] == "/run/x/cache/hf"  # models are for every version


def test_the_middleware_looks_for_the_models_files_where_the_engine_puts_them(make_plan: MakePlan) -> None:
    where = Places(root="/c", architecture="gfx942", unwritable=EVERYWHERE)
    command = programs.middleware_command(make_plan("serve", "m", places=where))
    assert "HF_HOME=/c/hf" in command[: command.index("middleware")]
    plain = programs.middleware_command(make_plan("serve", "m"))
    assert not [word for word in plain if word.startswith(("HOME=", "HF_HOME="))]


def test_the_operators_own_place_wins_and_is_warned_about(make_plan: MakePlan) -> None:
    where = Places(root="/c", unwritable=EVERYWHERE)
    chosen = make_plan("serve", "m", env={"TRITON_CACHE_DIR": "/ro", "HF_HOME": "/models"}, places=where)
    assert not set(chosen.engines[0].env) & {"TRITON_CACHE_DIR", "HF_HOME"}
    assert [w for w in chosen.warnings if "cannot be written" in w] == [
        "TRITON_CACHE_DIR is /ro, which cannot be written: SGLang may not start"
    ]


def test_what_was_added_is_one_line(make_plan: MakePlan) -> None:
    chosen = make_plan("serve", "m", places=Places(root="/c", unwritable=EVERYWHERE))
    (line,) = (target for target, why in chosen.added if "cannot be written" in why)
    assert line.endswith(" in /c")
    assert set(DEFAULTS) == set(line.removesuffix(" in /c").split(", "))


def test_models_and_credentials_of_the_old_home_are_still_found(world: Path) -> None:
    home = world / "home"
    for file in (".cache/huggingface/hub/models--m", ".aws/credentials"):
        (home / file).parent.mkdir(parents=True)
        (home / file).touch()
    for folder in (home / ".cache/huggingface/hub", home / ".cache/huggingface", home / ".cache", home / ".aws", home):
        folder.chmod(0o555)

    def start() -> None:
        env = made({"HOME": str(home)}, world).engines[0].env
        assert env["HF_HOME"] == f"{home}/.cache/huggingface"
        assert env["AWS_SHARED_CREDENTIALS_FILE"] == f"{home}/.aws/credentials"
        assert env["HOME"].startswith(f"{world}/run/cache/")

    as_anybody(start)


def test_a_user_without_a_name_gets_one(make_plan: MakePlan) -> None:
    """getpass.getuser() raises for it, and compilers' caches ask."""
    env = make_plan("serve", "m", places=Places(root="/c", nameless=True)).engines[0].env
    assert env["USER"] == env["LOGNAME"] == "sglang"


def test_vllms_place_for_compiled_code_becomes_sglangs(world: Path) -> None:
    root = volume(world / "cache")
    env = {"HOME": str(volume(world / "home")), "USER": "me", "VLLM_CACHE_ROOT": str(root)}
    engine = made(env, world).engines[0].env
    assert engine["SGLANG_CACHE_DIR"].startswith(f"{root}/.vllm-to-sglang-{os.geteuid()}/sglang-{VERSION}-")
    assert "HOME" not in engine
    file = world / "file"
    file.touch()
    missing = made({**env, "VLLM_CACHE_ROOT": f"{file}/below"}, world)
    assert "SGLANG_CACHE_DIR" not in missing.engines[0].env


def test_every_compiler_writes_below_vllms_place_unless_it_was_given_its_own(make_plan: MakePlan) -> None:
    where = Places(root="/kernels/.ours", architecture="gfx942", aiter="/aiter/jit")
    env = {"VLLM_CACHE_ROOT": "/kernels", "TRITON_CACHE_DIR": "/mine"}
    engine = make_plan("serve", "m", env=env, places=where).engines[0].env
    base = f"/kernels/.ours/sglang-{VERSION}-gfx942"
    assert {name: engine.get(name) for name in caches.COMPILED if name != "TRITON_CACHE_DIR"} == {
        name: f"{base}/{caches.FOLDERS[name]}" for name in caches.COMPILED if name != "TRITON_CACHE_DIR"
    }
    assert engine["AITER_JIT_DIR"] == f"{base}/aiter"
    assert "TRITON_CACHE_DIR" not in engine
    assert "HF_HOME" not in engine


def test_aiters_own_folder_is_left_for_vllms_place_only(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = world / "python/aiter"
    (package / "jit").mkdir(parents=True)
    (package / "__init__.py").touch()
    monkeypatch.setattr(places, "gpu_architecture", lambda _: "gfx942")
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    env = {"HOME": str(volume(world / "home")), "VLLM_SHIM_ENGINE": "python3"}
    assert "AITER_JIT_DIR" not in made(env, world).engines[0].env
    moved = made({**env, "VLLM_CACHE_ROOT": str(volume(world / "kernels"))}, world).engines[0].env
    assert moved["AITER_JIT_DIR"].startswith(f"{world}/kernels/")


def test_below_sglangs_own_folder_nothing_more_is_set(world: Path) -> None:
    """SGLang puts the caches of Triton and the others below SGLANG_CACHE_DIR itself."""
    env = {"HOME": str(locked(world / "home")), "SGLANG_CACHE_DIR": str(volume(world / "own"))}

    def start() -> None:
        engine = made(env, world).engines[0].env
        assert not set(engine) & {"SGLANG_CACHE_DIR", "TRITON_CACHE_DIR", "CUDA_CACHE_PATH"}
        assert "SGLANG_JIT_CACHE_DIR" in engine  # that one does not follow it (0.5.23)

    as_anybody(start)


def test_aiter_finds_the_kernels_that_came_with_it(world: Path) -> None:
    package = world / "aiter/jit"
    package.mkdir(parents=True)
    (package / "module_a.so").write_text("1")
    where = Places(root=f"{world}/c", architecture="gfx942", aiter=str(package))
    env = {"AITER_JIT_DIR": f"{caches.keyed(where)}/aiter"}
    caches.make(env, where)
    caches.make(env, where)
    jit = Path(env["AITER_JIT_DIR"])
    assert (jit / "module_a.so").read_text() == "1"
    (jit / "module_a.so").unlink()
    (jit / "module_a.so").write_text("compiled for this GPU")
    caches.make(env, where)
    assert (jit / "module_a.so").read_text() == "compiled for this GPU"


def test_aiter_is_left_alone_where_its_folder_can_be_written(make_plan: MakePlan) -> None:
    where = Places(root="/c", architecture="gfx942", aiter="/opt/aiter/jit")
    assert "AITER_JIT_DIR" in make_plan("serve", "m", places=where).engines[0].env
    assert "AITER_JIT_DIR" not in make_plan("serve", "m", places=replace(where, aiter="")).engines[0].env


@pytest.mark.parametrize(
    ("files", "env", "architecture"),
    [
        ({}, {}, "unknown"),
        ({}, {"PYTORCH_ROCM_ARCH": "gfx942;gfx950"}, "gfx942-gfx950"),
        ({"sys/class/kfd/kfd/topology/nodes/0/properties": "gfx_target_version 0\n"}, {}, "unknown"),
        (
            {"sys/class/kfd/kfd/topology/nodes/1/properties": "simd_count 1216\ngfx_target_version 90402\n"},
            {},
            "gfx942",
        ),
        ({"sys/class/kfd/kfd/topology/nodes/1/properties": "gfx_target_version 90010\n"}, {}, "gfx90a"),
        ({"sys/class/kfd/kfd/topology/nodes/1/properties": "gfx_target_version 110001\n"}, {}, "gfx1101"),
        (
            {"proc/driver/nvidia/gpus/0000:01:00.0/information": "Model: \t\t NVIDIA H100 80GB HBM3\nIRQ: 1\n"},
            {},
            "nvidia-h100-80gb-hbm3",
        ),
    ],
)
def test_the_gpus_architecture(files: dict[str, str], env: dict[str, str], architecture: str, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text)
    assert places.gpu_architecture(env, tmp_path) == architecture


def test_the_preview_takes_places_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "facts.json"
    file.write_text('{"places": {"root": "/c", "unwritable": ["HOME"]}}')
    assert facts.load(str(file)) == Facts(places=Places(root="/c", unwritable=frozenset({"HOME"})))
    file.write_text('{"places": {"rooot": "/c"}}')
    with pytest.raises(CommandLineError, match="places: unknown rooot"):
        facts.load(str(file))


def test_all_of_it_can_be_written_to_supervisords_file(make_plan: MakePlan) -> None:
    chosen = make_plan("serve", "m", places=Places(root="/a b/50%", architecture="gfx942", unwritable=EVERYWHERE))
    assert "TRITON_CACHE_DIR" in render_config.render(chosen)["supervisord.conf"]
