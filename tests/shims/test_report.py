"""No secret stands in what a start says about itself: the report, the preview's document, the errors."""

from __future__ import annotations

import json

import pytest

from shims import cli, report
from shims.exceptions import CommandLineError, Refused, ShimError
from tests.shims.conftest import MakePlan

ENDPOINT = "http://user:hunter2@c:4317"
CONFIG = '{"s3_secret_access_key":"hunter2"}'
WARN = {"VLLM_SHIM_UNSUPPORTED": "warn"}


@pytest.mark.parametrize(
    ("words", "env"),
    [
        (["m", "--otlp-traces-endpoint", ENDPOINT], {}),
        (["m", "--otlp-traces-endpoint", "http://user:a@hunter2@c:4317"], {}),
        (["m"], {"VLLM_SHIM_ENGINE_ARGS": f"--otlp-traces-endpoint {ENDPOINT}"}),
        (
            ["m", "--otlp-traces-endpoint", "http://c:1"],
            {"VLLM_SHIM_ENGINE_ARGS": f"--otlp-traces-endpoint={ENDPOINT}"},
        ),
        (["m", "--model-loader-extra-config", CONFIG], WARN),
        (["m", "--model-loader-extra-config.s3_secret_access_key", "hunter2"], WARN),
        (["m", "--json-model-override-args", CONFIG], {}),
        (["m", "--hf-overrides", CONFIG], {}),
        (["m"], {"VLLM_SHIM_ENGINE_ARGS": f"--json-model-override-args '{CONFIG}'"}),
        (["m", "--apikey", "hunter2"], {"VLLM_SHIM_IGNORE_FLAGS": "--apikey"}),
        (["s3://key:hunter2@bucket/m"], {}),
        (["m"], {"VLLM_TORCH_PROFILER_DIR": "https://u:hunter2@h/p"}),
        (["m"], {"SGLANG_PLUGINS": "https://u:hunter2@h/p"}),
    ],
)
def test_a_secret_inside_a_value_is_in_neither_report_nor_preview(
    words: list[str], env: dict[str, str], make_plan: MakePlan
) -> None:
    made = make_plan("serve", *words, env=env)
    assert "hunter2" not in report.text(made)
    assert "hunter2" not in json.dumps(made.to_json())
    assert "hunter2" not in "".join(d.target + d.note + str(d.value) for d in made.decisions)


def test_sglang_gets_the_value_whole(make_plan: MakePlan) -> None:
    assert ENDPOINT in make_plan("serve", "m", "--otlp-traces-endpoint", ENDPOINT).engines[0].argv


@pytest.mark.parametrize(
    ("words", "env", "kind"),
    [
        (["--kv-transfer-config", CONFIG[:-1]], {}, CommandLineError),
        (["--model-loader-extra-config", "{s3_secret_access_key:hunter2}"], {}, CommandLineError),
        (["--kv-transfer-config", f"[{CONFIG}]"], {}, Refused),
        (["--otlp-traces-endpoint", "http://u:hunter2@c:4317/a b"], {}, Refused),
        (["--served-model-name", "http://u:hunter2@h\n"], {}, Refused),
        ([], {"VLLM_SHIM_ENGINE_ARGS": "http://u:hunter2@h"}, CommandLineError),
        ([], {"VLLM_SHIM_ENGINE_ARGS": "--page-size http://u:hunter2@h"}, Refused),
    ],
)
def test_a_secret_is_in_no_error(
    words: list[str], env: dict[str, str], kind: type[ShimError], make_plan: MakePlan
) -> None:
    with pytest.raises(kind) as caught:
        make_plan("serve", "m", *words, env=env)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "flag", ["--hf-overrides", "--kv-transfer-config", "--speculative-config", "--mm-process-config"]
)
@pytest.mark.parametrize("depth", [101, 900, 1500, 3000, 100_000])
def test_json_of_any_depth_is_one_sentence(flag: str, depth: int, make_plan: MakePlan) -> None:
    with pytest.raises(ShimError, match=flag) as caught:
        make_plan("serve", "m", flag, '{"a":' * depth + "1" + "}" * depth)
    assert len(str(caught.value)) < 300


def test_a_document_that_is_deep_but_not_too_deep_is_read() -> None:
    given = cli.parse(["m", "--hf-overrides", '{"a":' * 90 + "1" + "}" * 90])
    assert given.last("--hf-overrides")
