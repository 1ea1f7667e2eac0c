"""The wheel: in an environment of its own, outside of the checkout, it serves, and looks at what it serves."""

from __future__ import annotations

import json
import subprocess
import zipfile
from pathlib import Path

import pytest

from shims import VERSION
from tests.dist.conftest import Installed, fresh
from tests.server import PATIENCE, ROOT, Server, free_port, serving

API_SERVER = "vllm.entrypoints.openai.api_server"
# What git has of these folders, and nothing else has to travel.
PACKAGED = (
    "shims",
    "supervision",
    "middleware",
    "switcher",
    "operate",
    "haproxy",
    "render_config.py",
    "supervisord.conf.j2",
)


def test_the_wheel_has_every_file_of_the_packages_and_no_other(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    words = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *PACKAGED]
    ours = subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    there = {name.removeprefix("shims/site/") for name in ours if (ROOT / name).exists()}
    assert names == there


@pytest.mark.stack
@pytest.mark.parametrize(
    "command",
    [
        ("vllm", "serve", "stand-in"),
        ("python", "-m", API_SERVER, "--model", "stand-in"),
        ("vllm-to-sglang", "serve", "stand-in"),
    ],
    ids=["vllm", "python -m", "vllm-to-sglang"],
)
def test_a_chat_is_answered_from_another_folder(command: tuple[str, ...], installed: Installed, tmp_path: Path) -> None:
    words = (str(installed.bin / command[0]), *command[1:])
    with serving(tmp_path, env={"VLLM_SHIM_PYTHON": ""}, command=words, cwd=tmp_path) as server:
        server.wait_ready()
        question = {"model": "stand-in", "messages": [{"role": "user", "content": "hi"}]}
        answer = server.client.post("/v1/chat/completions", json=question)
        assert answer.status_code == 200, answer.text
        assert answer.json()["choices"][0]["message"]["content"]
        assert str(ROOT / "shims") not in " ".join(server.processes().values())
        looks_inside(installed, server, tmp_path)


def looks_inside(installed: Installed, server: Server, folder: Path) -> None:
    env = {"VLLM_SHIM_RUN_DIR": str(server.run_dir)}
    status = installed.run("vllm-to-sglang", "status", "--json", cwd=folder, env=env)
    assert (status.returncode, json.loads(status.stdout)["ready"]) == (0, True), status.stderr
    for wrapper in (["vllm-to-sglang", "supervisorctl"], [str(installed.site / "shims/bin/supervisorctl")]):
        programs = installed.run(*wrapper, "status", cwd=folder, env=env)
        states = dict(line.split()[:2] for line in programs.stdout.splitlines())
        assert list(states) == ["haproxy", "middleware", "sglang"]
        assert set(states.values()) <= {"STARTING", "RUNNING"}


def test_check_reads_values_without_a_checkout(installed: Installed, tmp_path: Path) -> None:
    found = installed.run("vllm-to-sglang", "check", "--", "serve", "m", "-tp", "2", cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    assert "--tp-size 2" in found.stdout
    assert installed.run("vllm-to-sglang", "--version", cwd=tmp_path).stdout == f"vllm-to-sglang {VERSION}\n"


def test_without_sglang_one_sentence_says_which_variable_names_it(installed: Installed, tmp_path: Path) -> None:
    env = {
        "PATH": f"{installed.bin}:/usr/sbin:/usr/bin:/bin",
        "VLLM_SHIM_RUN_DIR": str(tmp_path / "run"),
        "VLLM_SHIM_LOG": str(tmp_path / "log"),
    }
    found = installed.run("vllm", "serve", "m", "--port", str(free_port()), cwd=tmp_path, env=env)
    assert found.returncode != 0
    [said] = [line for line in found.stderr.splitlines() if line.startswith("vllm: error: ")]
    assert "SGLang is not installed for" in said
    assert "VLLM_SHIM_ENGINE" in said


def test_the_stand_in_for_vllms_package_is_seen_by_python_m_vllm_alone(installed: Installed, tmp_path: Path) -> None:
    """SGLang tries `import vllm` by itself: in its processes there must be none of ours."""
    code = "import importlib.util as u; print(u.find_spec('vllm'))"
    assert installed.run("python", "-c", code, cwd=tmp_path).stdout == "None\n"
    (tmp_path / "script.py").write_text(code)
    assert installed.run("python", "script.py", "serve", "vllm", cwd=tmp_path).stdout == "None\n"
    found = installed.run("python", "-Im", API_SERVER, "--nope", cwd=tmp_path)
    assert found.returncode == 2
    assert found.stderr.startswith("vllm: error: ")


def test_a_real_vllm_beside_it_keeps_its_command_and_its_package(wheel: Path, tmp_path: Path) -> None:
    both = fresh(tmp_path / "env", wheel)
    real = both.site / "vllm/entrypoints/cli"
    real.mkdir(parents=True)
    for folder in (real, real.parent, real.parent.parent):
        (folder / "__init__.py").touch()
    (real / "main.py").write_text("import sys\nprint('the real one', *sys.argv[1:])\n")
    (both.site / "vllm-0.33.0.dist-info").mkdir()
    (both.site / "vllm-0.33.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: vllm\nVersion: 0.33.0\n")
    found = both.run("vllm", "serve", "m", cwd=tmp_path)
    assert found.stdout == "the real one serve m\n"
    assert found.stderr.startswith(f"vllm: vLLM 0.33.0 is installed in {both.folder} too and keeps its command")
    assert both.run("python", "-m", "vllm.entrypoints.cli.main", cwd=tmp_path).stdout == "the real one\n"
    ours = both.run("vllm-to-sglang", "serve", "m", "--nope", cwd=tmp_path)
    assert (ours.returncode, ours.stdout) == (2, "")
    assert "--nope" in ours.stderr


def test_it_starts_in_a_folder_with_modules_of_the_same_names(installed: Installed, tmp_path: Path) -> None:
    for name in ("shims", "supervision", "middleware", "switcher", "operate", "render_config"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('not this one')")
    found = installed.run("vllm", "serve", "--nope", cwd=tmp_path)
    assert found.stderr.startswith("vllm: error: ")


def test_no_dependency_has_a_package_of_one_of_our_names(installed: Installed) -> None:
    """PyPI has a `supervision`, a `middleware` and a `shims`: hence an environment of its own."""
    import importlib.metadata

    owners = importlib.metadata.packages_distributions()
    names = ("shims", "supervision", "middleware", "switcher", "operate", "haproxy", "render_config")
    assert {name: owners.get(name, []) for name in names if set(owners.get(name, [])) - {"vllm-to-sglang"}} == {}


@pytest.mark.soak
def test_pip_install_of_the_checkout_fetches_all_that_serving_needs(tmp_path: Path) -> None:
    """Needs a registry: the pinned dependencies, and hatchling for the build."""
    import venv

    venv.create(tmp_path / "env", with_pip=True)
    pip = (str(tmp_path / "env/bin/python"), "-m", "pip", "--quiet", "--disable-pip-version-check")
    subprocess.run([*pip, "install", str(ROOT)], check=True, timeout=10 * PATIENCE)
    words = (str(tmp_path / "env/bin/vllm"), "serve", "stand-in")
    with serving(tmp_path, env={"VLLM_SHIM_PYTHON": ""}, command=words, cwd=tmp_path) as server:
        server.wait_ready()
        assert server.client.get("/v1/models").json()["data"][0]["id"] == "stand-in"
