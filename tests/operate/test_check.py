"""`vllm-to-sglang check`: its reports, its exit codes, and what it never prints."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operate import source
from operate.__main__ import main
from operate.found import Unreadable
from operate.verdict import judge
from shims.catalog import catalogs
from shims.flags import TABLE
from tests.operate.conftest import Check, Write

GOOD = {"name": "good", "modelURL": "org/good", "vllmConfig": {"tensorParallelSize": 2, "enablePrefixCaching": True}}
PREFILL = {"name": "prefill", "modelURL": "m", "lmcacheConfig": {"enabled": True, "kvRole": "kv_producer"}}
UNKNOWN = {"name": "unknown", "modelURL": "m", "vllmConfig": {"extraArgs": ["--no-such-flag-anywhere"]}}


def values(*models: Any, **more: Any) -> dict[str, Any]:
    return {"servingEngineSpec": {"modelSpec": list(models), **more}}


def test_an_engine_that_would_start_is_reported_and_exits_0(check: Check, write: Write) -> None:
    answer = check(write(values(GOOD), name="values.yaml"))
    assert answer.code == 0
    assert "values.yaml: modelSpec good" in answer.out
    assert "--tp-size 2" in answer.out
    assert answer.out.splitlines()[-1] == "1 engine: 1 would start, 0 refused"
    assert answer.err == ""


def test_every_refusal_of_every_engine_is_said_and_exits_2(check: Check, write: Write) -> None:
    answer = check(write(values(GOOD, PREFILL, UNKNOWN)))
    assert answer.code == 2
    assert "--kv-transfer-config: " in answer.out
    assert "--no-such-flag-anywhere: " in answer.out
    assert answer.out.splitlines()[-1] == "3 engines: 1 would start, 2 refused"


def test_a_command_line_that_vllm_would_not_read_is_refused(check: Check) -> None:
    answer = check("--", "serve", "m", "--tensor-parallel-size", "many")
    assert answer.code == 2
    assert "--tensor-parallel-size" in answer.out


@pytest.mark.parametrize(
    "words",
    [
        ["serve", "org/m", "-tp", "2"],
        ["vllm", "serve", "org/m", "-tp", "2"],
        ["/opt/venv/bin/vllm", "serve", "org/m", "-tp", "2"],
        ["python3", "-m", "vllm.entrypoints.openai.api_server", "--model", "org/m", "-tp", "2"],
        ["bash", "-c", "exec vllm serve org/m -tp 2"],
        ["VLLM_LOGGING_LEVEL=DEBUG", "vllm", "serve", "org/m", "-tp", "2"],
        ["env", "VLLM_LOGGING_LEVEL=DEBUG", "vllm", "serve", "org/m", "-tp", "2"],
    ],
)
def test_a_command_line_is_taken_in_every_form_that_the_image_takes(words: list[str], check: Check) -> None:
    answer = check("--json", "--", *words)
    assert answer.code == 0
    (engine,) = answer.json["engines"]
    assert engine["source"] == "command line"
    assert engine["models"] == ["org/m"]
    assert engine["engines"][0]["argv"][-1:]
    variables = [d["name"] for d in engine["decisions"] if d["kind"] == "env"]
    assert variables == (["VLLM_LOGGING_LEVEL"] if "VLLM_LOGGING_LEVEL=DEBUG" in words else [])


@pytest.mark.parametrize("words", [["org/m"], ["vllm", "bench"], ["A=1"], ["vllm"], ["bash", "start.sh"], ["--x"]])
def test_a_command_line_that_serves_nothing_is_refused_in_a_sentence(words: list[str], check: Check) -> None:
    answer = check("--", *words)
    assert answer.code == 2
    assert "vllm serve" in answer.out


def test_files_and_a_command_line_are_checked_together(check: Check, write: Write) -> None:
    one, two = write(values(GOOD), name="a.yaml"), write(values(GOOD), name="b.yaml")
    answer = check(one, two, one, "--", "serve", "m")
    assert answer.code == 0
    assert answer.out.splitlines()[-1] == "3 engines: 3 would start, 0 refused"


def test_standard_input_and_json_manifests_are_read(
    check: Check, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    pod = {"kind": "Pod", "spec": {"containers": [{"name": "c", "image": "vllm/vllm-openai", "args": ["m"]}]}}
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps(pod).encode())))
    answer = check("-", write(json.dumps(pod, indent="\t"), name="pod.json"))
    assert answer.code == 0
    assert "standard input: Pod, container c" in answer.out
    assert "pod.json: Pod, container c" in answer.out


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("a: [", "not valid YAML"),
        ("a: b: c", "not valid YAML"),
        ("{{ .Values.x }}: {{ y }}", "helm template"),
        ("a: !!python/object:os.system x", "not valid YAML"),
        ("", "looked for"),
        ("# nothing", "looked for"),
        ("just text", "looked for"),
        ("[1, 2]", "looked for"),
        ("null", "looked for"),
        ("---\n---\n7\n", "looked for"),
        ("kind: Service\nspec: {ports: [{port: 80}]}", "looked for"),
        ("kind: Pod\nspec: {containers: [null, 1, [], {}]}", "looked for"),
        ("a: \x00", "not YAML"),
        ("[" * 5000, "not YAML"),
        ("a: &a [*a]", "a part of itself"),
        ("kind: List\nitems: &i [{kind: List, items: *i}]", "a part of itself"),
        (json.dumps({"kind": "List", "items": [{}] * 10_001}), "more than 10000 documents"),
    ],
)
def test_a_file_without_an_engine_ends_in_one_sentence_and_exit_2(
    text: str, word: str, check: Check, write: Write
) -> None:
    answer = check(write(text), "--", "serve", "m")
    assert answer.code == 2
    assert word in answer.err
    assert len(answer.err.splitlines()) == 1
    assert "Traceback" not in answer.everything
    assert answer.out.splitlines()[-1] == "1 engine: 1 would start, 0 refused, 1 file not checked"


def test_a_file_that_is_missing_or_a_folder_or_no_text_exits_2(check: Check, tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00\xd8")
    for name, word in (("missing.yaml", "no such file"), (".", "folder"), ("binary", "UTF-8")):
        answer = check(str(tmp_path / name))
        assert answer.code == 2
        assert word in answer.err


def test_a_file_made_of_aliases_is_read_in_no_time_or_refused(check: Check, write: Write) -> None:
    laughs = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 20))
    assert check(write(f"kind: Pod\na0: &a0 [x]\n{laughs}")).code == 2
    merges = "\n".join(f"m{n}: &m{n}\n  <<: [{', '.join([f'*m{n - 1}'] * 9)}]" for n in range(1, 20))
    assert check(write(f"m0: &m0 {{a: 1, b: 2}}\n{merges}")).code == 2


def test_without_anything_to_check_the_usage_is_shown(check: Check) -> None:
    answer = check()
    assert answer.code == 2
    assert "give a file" in answer.err


def test_engines_that_are_switched_off_are_no_error(check: Check, write: Write) -> None:
    answer = check(write(values(GOOD, enableEngine=False)))
    assert answer.code == 0
    assert "enableEngine is false" in answer.out
    assert answer.out.splitlines()[-1] == "0 engines: 0 would start, 0 refused"


def test_strict_fails_for_what_is_ignored_and_for_notes(check: Check, write: Write) -> None:
    clean = write(values({"name": "good", "modelURL": "org/good"}), name="clean.yaml")
    assert check("--strict", clean).code == 0
    config = {"extraArgs": ["--config", "/etc/vllm.yaml"], "enablePrefixCaching": True}
    noted = write(values({"name": "m", "modelURL": "m", "vllmConfig": config}), name="noted.yaml")
    assert check(noted).code == 0
    assert check("--strict", noted).code == 1
    assert check("--strict", write(values(PREFILL))).code == 2
    switches = (flag for flag in TABLE.values() if catalogs()[0].by_spelling[flag.name].arity == "switch")
    ignored = ["serve", "m", next(flag.name for flag in switches if flag.action == "drop")]
    assert check("--", *ignored).code == 0
    assert check("--strict", "--", *ignored).code == 1


def test_a_config_file_of_the_image_is_noted_and_the_rest_is_checked(check: Check, write: Write) -> None:
    here = write("tensor-parallel-size: 4", name="vllm-config.yaml")
    pod = {"kind": "Pod", "spec": {"containers": [{"image": "vllm/vllm-openai", "args": ["m", "--config", here]}]}}
    answer = check(write(pod))
    assert answer.code == 0
    assert f"the file {here} of the image cannot be read here" in answer.out
    assert "--tp-size" not in answer.out
    assert "cannot be read here" in check("--", "serve", "m", "--config", "/not/here.yaml").out
    assert "cannot be read here" not in check("--", "serve", "m", "--config", here).out


def manifest(drain: int, **pod: Any) -> dict[str, Any]:
    env = [{"name": "VLLM_SHIM_DRAIN_SECONDS", "value": str(drain)}]
    container = {"name": "vllm", "command": ["vllm", "serve", "m"], "env": env}
    return {
        "kind": "Deployment",
        "metadata": {"name": "d"},
        "spec": {"template": {"spec": {**pod, "containers": [container]}}},
    }


@pytest.mark.parametrize(
    ("drain", "pod", "said"),
    [
        (15, {}, []),
        (60, {}, ["Kubernetes kills after 30 s"]),
        (60, {"terminationGracePeriodSeconds": 90}, []),
        (60, {"terminationGracePeriodSeconds": 74}, ["Kubernetes kills after 74 s"]),
        (15, {"terminationGracePeriodSeconds": 20}, ["Kubernetes kills after 20 s"]),
        (15, {"terminationGracePeriodSeconds": "soon"}, []),
    ],
)
def test_the_pods_own_grace_period_is_what_the_end_has_to_fit(
    drain: int, pod: dict[str, Any], said: list[str], check: Check, write: Write
) -> None:
    [engine] = check("--json", write(manifest(drain, **pod))).json["engines"]
    found = [warning for warning in engine["warnings"] if "Kubernetes kills after" in warning]
    assert len(found) == len(said)
    assert all(words in warning for words, warning in zip(said, found, strict=True))


@pytest.mark.parametrize("action", ["convert", "drop"])
def test_a_volume_for_kernels_is_taken_to_be_one_that_can_be_written(action: str, check: Check, write: Write) -> None:
    folder = "/kernels" if action == "convert" else "kernels"
    one = {**GOOD, "env": [{"name": "VLLM_CACHE_ROOT", "value": folder}]}
    [engine] = check("--json", write(values(one))).json["engines"]
    [decision] = [one for one in engine["decisions"] if one["name"] == "VLLM_CACHE_ROOT"]
    assert decision["action"] == action
    named = engine["engines"][0]["env"].get("TRITON_CACHE_DIR", "")
    assert named.startswith("/kernels/.vllm-to-sglang-UID/sglang-") == (action == "convert")


def test_a_template_of_the_image_needs_not_be_here(check: Check) -> None:
    assert check("--", "serve", "m", "--chat-template", "/templates/not-here.jinja").code == 0


def test_the_document_for_programs_has_plans_and_refusals(check: Check, write: Write) -> None:
    answer = check("--json", write(values(GOOD, PREFILL)), "no-such-file")
    assert answer.code == 2
    good, refused = answer.json["engines"]
    assert good["models"] == ["org/good"]
    assert good["notes"] == []
    assert {"ports", "programs", "engines", "decisions", "warnings"} <= set(good)
    assert refused["source"].endswith("modelSpec prefill")
    assert refused["refusals"][0][0] == "--kv-transfer-config"
    assert refused["refusals"][0][1] in refused["error"]
    assert answer.json["unreadable"][0]["source"] == "no-such-file"
    assert answer.json["summary"] == "2 engines: 1 would start, 1 refused, 1 file not checked"


SECRET = "hunter2-in-clear"


@pytest.mark.parametrize("form", [[], ["--json"]])
@pytest.mark.parametrize(
    "document",
    [
        values({**GOOD, "hf_token": SECRET}, vllmApiKey=SECRET),
        values({**UNKNOWN, "hf_token": SECRET}, vllmApiKey=SECRET),
        values({**GOOD, "env": [{"name": "HF_TOKEN", "value": SECRET}, {"name": "VLLM_API_KEY", "value": SECRET}]}),
        values({**GOOD, "vllmConfig": {"extraArgs": ["--api-key", SECRET]}}),
        values({**GOOD, "vllmConfig": {"extraArgs": [f"--api-key={SECRET}", "--no-such-flag"]}}),
        values(
            {**GOOD, "env": [{"name": "KEY", "value": SECRET}], "vllmConfig": {"extraArgs": ["--api-key", "$(KEY)"]}}
        ),
        values({**GOOD, "env": {"HF_TOKEN": SECRET}}),
        values({**GOOD, "env": [{"name": "HF_TOKEN", "value": {SECRET: SECRET}}]}),
        values({**GOOD, "env": [f"HF_TOKEN={SECRET}"]}),
        f"servingEngineSpec:\n  vllmApiKey: *{SECRET}\n",
        f"servingEngineSpec:\n  vllmApiKey: '{SECRET}\n",
        f"servingEngineSpec:\n  vllmApiKey: {SECRET}: x\n",
        f"servingEngineSpec:\n  vllmApiKey: !{SECRET} x\n",
        {
            "kind": "Pod",
            "spec": {
                "containers": [
                    {
                        "image": "vllm",
                        "command": ["sh", "-c", f"export HF_TOKEN={SECRET}; vllm serve m --api-key {SECRET}"],
                    },
                    {"image": "vllm", "command": ["sh", "-c", f"vllm serve m --api-key '{SECRET}"]},
                    {"image": "vllm", "args": ["m", "--api-key", SECRET, SECRET, "--tensor-parallel-size", "x"]},
                ]
            },
        },
    ],
)
def test_a_secret_in_clear_is_never_printed(form: list[str], document: Any, check: Check, write: Write) -> None:
    answer = check(*form, write(document))
    assert answer.everything
    assert SECRET not in answer.everything


def test_output_that_nobody_reads_to_its_end_is_no_traceback(write: Write) -> None:
    command = f"{sys.executable} -m operate check {write(values(GOOD))} | head -n 1"
    root = Path(__file__).parent.parent.parent
    done = subprocess.run(command, shell=True, cwd=root, capture_output=True, text=True, check=True, timeout=60)
    assert "modelSpec good" in done.stdout
    assert done.stderr == ""


def test_help_says_what_can_be_checked(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["check", "--help"])
    assert end.value.code == 0
    assert "helm template" in capsys.readouterr().out


KEYS = st.sampled_from(
    [
        *("kind", "spec", "template", "containers", "items", "metadata"),
        *("name", "image", "command", "args", "env", "value"),
        *("valueFrom", "secretKeyRef", "configMapRef", "servingEngineSpec", "modelSpec", "modelURL"),
        *("vllmConfig", "extraArgs", "lmcacheConfig", "enabled", "envFrom", "model"),
        *("lmCacheConfig", "raySpec", "lwsSpec", "hf_token", "data"),
    ]
)
SCALARS = st.sampled_from(
    [None, True, 0, 8000, 10**30, 0.5, "", "sh", "-c", "vllm serve m", "vllm/vllm-openai", "--port", "$(A)", "x: 'y"]
)
TREES = st.recursive(SCALARS, lambda t: st.lists(t, max_size=4) | st.dictionaries(KEYS, t, max_size=6), max_leaves=25)


@given(st.lists(TREES, max_size=2), st.sampled_from(["Pod", "VLLMRuntime", "LeaderWorkerSet", "RayCluster"]), TREES)
def test_no_document_of_any_shape_breaks_the_command(
    tmp_path_factory: pytest.TempPathFactory, trees: Any, kind: str, inner: Any
) -> None:
    path = tmp_path_factory.mktemp("trees", numbered=True) / "file.json"
    full = {"kind": kind, "spec": inner}, values(inner), {"kind": kind, "spec": {"containers": [inner]}}
    items = [*trees, *full]
    path.write_text(json.dumps({"kind": "List", "items": items}))
    with contextlib.suppress(Unreadable):
        for found in source.engines(str(path)).engines:
            judge(found)
    path.unlink()
