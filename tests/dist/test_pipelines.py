"""Both pipelines: well formed, with the same stages by the same scripts, few rights, pinned actions and no secret."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from shims import VERSION
from tests.server import ROOT

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yaml"))
JENKINSFILE = ROOT / "Jenkinsfile"
PIPELINES = [*WORKFLOWS, JENKINSFILE]
# What both pipelines may run beside docker, apt and pip.
SCRIPTS = {".ci/run", "deploy/image_tag", "deploy/publish"}
# Tokens of GitHub, GitLab, Hugging Face, AWS, PyPI and Docker; a password in a URL; a private key.
SECRET = re.compile(
    r"gh[pousr]_\w{20}|github_pat_\w{20}|glpat-\S{15}|hf_[A-Za-z0-9]{20}|AKIA[0-9A-Z]{12}|pypi-\w{20}|dckr_pat_\S{15}"
    r"|://[^/\s:@]+:[^/\s@]+@|BEGIN [A-Z ]*PRIVATE KEY"
)


def read(workflow: Path) -> dict[str, Any]:
    document = yaml.safe_load(workflow.read_text())
    return {"on" if key is True else key: value for key, value in document.items()}  # `on` is true in YAML 1.1


def steps(workflow: Path) -> list[dict[str, Any]]:
    return [step for job in read(workflow)["jobs"].values() for step in job["steps"]]


def output(*words: str, code: int = 0) -> str:
    found = subprocess.run(words, cwd=ROOT, check=False, capture_output=True, text=True)
    assert found.returncode == code, found.stderr
    return (found.stderr if code else found.stdout).strip()


def tag(base: str) -> str:
    return output("deploy/image_tag", base)


def test_there_are_workflows_and_they_are_githubs_by_its_schema() -> None:
    assert [path.name for path in WORKFLOWS] == ["release.yaml", "test.yaml"]
    command = (sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows")
    assert output(*command, *map(str, WORKFLOWS)).startswith("ok")


def test_tests_run_on_every_push_and_images_are_built_for_tags_alone() -> None:
    test, release = (read(ROOT / f".github/workflows/{name}.yaml") for name in ("test", "release"))
    assert test["on"] == {"push": {"branches": ["**"]}, "pull_request": None}
    assert release["on"] == {"push": {"tags": ["v*"]}}
    assert release["jobs"]["image"]["needs"] == release["jobs"]["wheel"]["needs"] == "test"


def test_only_the_job_that_pushes_may_write_and_only_packages() -> None:
    for workflow in WORKFLOWS:
        assert read(workflow)["permissions"] == {"contents": "read"}
        for name, job in read(workflow)["jobs"].items():
            given = job.get("permissions", {})
            writes = [right for right, level in given.items() if level == "write"]
            assert writes == (["packages"] if (workflow.name, name) == ("release.yaml", "image") else [])


def test_actions_are_pinned_by_a_whole_version_and_leave_no_token_in_the_checkout() -> None:
    used = [step for workflow in WORKFLOWS for step in steps(workflow) if "uses" in step]
    assert all(re.fullmatch(r"actions/[\w-]+@v\d+\.\d+\.\d+", step["uses"]) for step in used)
    checkouts = [step for step in used if step["uses"].startswith("actions/checkout@")]
    assert len(checkouts) == 4
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


@pytest.mark.parametrize("path", PIPELINES, ids=lambda path: path.name)
def test_no_secret_is_in_a_pipeline_or_in_its_commands(path: Path) -> None:
    text = path.read_text()
    assert not SECRET.search(text)
    # A secret comes from the store by its name, and reaches a command through its environment, not its arguments.
    assert set(re.findall(r"\$\{\{\s*(secrets\.\w+)", text)) == set()
    assert set(re.findall(r"credentials\('([^']+)'\)", text)) <= {"registry"}
    commands = [step.get("run", "") for step in steps(path)] if path.suffix == ".yaml" else re.findall(r"sh '.*'", text)
    for command in commands:
        assert "${{" not in command, "an expression in a command is an injection"
        assert not re.search(r"--password[ =](?!-)|\s-p\s|echo .*(TOKEN|_PSW)", command)


def test_the_pattern_of_secrets_finds_some() -> None:
    for secret in ("ghp_" + "a" * 36, "hf_" + "a" * 34, "https://me:word@registry", "-----BEGIN RSA PRIVATE KEY-----"):
        assert SECRET.search(f"x: {secret}")


def test_no_secret_is_in_any_file_of_ours_that_a_release_is_made_from() -> None:
    names = ("Dockerfile", "Makefile", ".ci/run", "pyproject.toml", "CHANGELOG.md", "README.md")
    files = [*map(ROOT.joinpath, names), *(path for path in (ROOT / "deploy").rglob("*") if path.is_file())]
    assert [path.name for path in files if SECRET.search(path.read_text())] == []


def test_both_pipelines_run_the_same_scripts() -> None:
    github = "\n".join(step.get("run", "") for workflow in WORKFLOWS for step in steps(workflow))
    jenkins = JENKINSFILE.read_text()
    for text in (github, jenkins):
        called = set(re.findall(r"(?<![\w/])(?:\.ci|deploy)/\w+", re.sub(r"//.*", "", text)))
        assert called == SCRIPTS
        assert "pip wheel --no-deps" in text
    assert all((ROOT / script).stat().st_mode & 0o100 for script in SCRIPTS)


def test_the_jenkinsfile_closes_what_it_opens() -> None:
    bare = re.sub(r"//.*|'[^']*'", "", JENKINSFILE.read_text())
    depth = 0
    for character in bare:
        depth += {"{": 1, "}": -1}.get(character, 0)
        assert depth >= 0
    assert depth == 0
    assert re.findall(r"stage\('(\w+)'\)", JENKINSFILE.read_text()) == ["Test", "Release", "Wheel", "Images"]


@pytest.mark.parametrize(
    ("base", "said"),
    [
        ("lmsysorg/sglang-rocm:v0.5.18-rocm724-mi30x-20260825", "-sglang0.5.18-rocm7.2.4-mi300x"),
        ("lmsysorg/sglang:v0.5.12.post1-rocm720-mi35x", "-sglang0.5.12.post1-rocm7.2.0-mi350x"),
        ("lmsysorg/sglang:v0.5.18-cu130", "-sglang0.5.18-cuda13.0"),
        ("lmsysorg/sglang:v0.5.5-cu129-amd64@sha256:0a1b", "-sglang0.5.5-cuda12.9"),
        ("localhost:5000/base:latest", ""),
        ("localhost:5000/base", ""),
    ],
)
def test_a_tag_says_our_version_sglangs_rocms_and_the_gpu(base: str, said: str) -> None:
    assert tag(base) == f"{VERSION}{said}"


def test_the_bases_of_a_release_say_all_of_it_and_the_first_is_the_default() -> None:
    bases = output("deploy/image_tag", "--bases").splitlines()
    assert json.loads(output("deploy/image_tag", "--json")) == bases
    assert f"ARG BASE_IMAGE={bases[0]}\n" in (ROOT / "Dockerfile").read_text()
    tags = [tag(base) for base in bases]
    assert len(set(tags)) == len(tags)
    assert all(re.fullmatch(r"[\d.]+-sglang[\w.]+-(rocm[\d.]+-mi\d+x|cuda[\d.]+)", name) for name in tags)


def test_a_git_tag_that_is_not_our_version_is_no_release() -> None:
    assert output("deploy/image_tag", "--release", f"v{VERSION}") == ""
    assert "is not v" in output("deploy/image_tag", "--release", "v99.0.0", code=1)
    assert "is not v" in output("deploy/image_tag", "--release", code=1)


def test_an_image_is_pushed_under_its_tag_and_registries_take_no_capitals() -> None:
    base = output("deploy/image_tag", "--bases").splitlines()[0]
    told = output("env", "DRY=1", "REGISTRY=ghcr.io/Some-Owner", "deploy/publish", base)
    assert told == f"{base} -> ghcr.io/some-owner/vllm-to-sglang:{tag(base)}"
    assert "REGISTRY" in output("env", "-u", "REGISTRY", "deploy/publish", base, code=2)


def test_what_names_an_image_of_ours_names_one_that_a_release_makes() -> None:
    bases = output("deploy/image_tag", "--bases").splitlines()
    made = {tag(base) for base in bases}
    files = [ROOT / "README.md", *(path for path in (ROOT / "deploy").rglob("*") if path.is_file())]
    named = {found for path in files for found in re.findall(rf"{re.escape(VERSION)}-sglang[\w.-]+", path.read_text())}
    assert named
    assert named <= made
