"""VLLM_SHIM_UNSUPPORTED and VLLM_SHIM_IGNORE_FLAGS: which refusals become warnings, and which stand."""

from __future__ import annotations

import pytest

from shims.catalog import Catalog, catalogs
from shims.exceptions import CommandLineError, Refused
from shims.flags import draft
from tests.shims.conftest import MakePlan

UNSUPPORTED = ["--worker-cls", "a.B", "--enable-prompt-embeds"]
WARN = {"VLLM_SHIM_UNSUPPORTED": "warn"}


def test_a_refusal_names_every_refused_flag(make_plan: MakePlan) -> None:
    with pytest.raises(Refused) as caught:
        make_plan("serve", "m", *UNSUPPORTED)
    assert [name for name, _ in caught.value.refusals] == ["--worker-cls", "--enable-prompt-embeds"]
    assert "2 arguments cannot be honoured" in str(caught.value)


def test_warn_turns_refusals_into_warnings(make_plan: MakePlan) -> None:
    made = make_plan("serve", "m", *UNSUPPORTED, env=WARN)
    assert len([w for w in made.warnings if "NOT honoured" in w]) == 2
    assert [d.action for d in made.decisions if d.kind == "flag" and d.name != "model"] == ["drop", "drop"]


def test_ignored_flags_are_named_one_by_one(make_plan: MakePlan) -> None:
    with pytest.raises(Refused) as caught:
        make_plan("serve", "m", *UNSUPPORTED, env={"VLLM_SHIM_IGNORE_FLAGS": "--worker_cls"})
    assert [name for name, _ in caught.value.refusals] == ["--enable-prompt-embeds"]
    make_plan("serve", "m", *UNSUPPORTED, env={"VLLM_SHIM_IGNORE_FLAGS": "--worker-cls, --enable-prompt-embeds"})


@pytest.mark.parametrize(
    "words", [["--apikey", "X"], ["--ssl-certfil3", "/x"], ["--allowed-media-domain5", "a.b"], ["--no-such-flag"]]
)
def test_a_flag_that_nobody_has_is_ignored_by_its_name_alone(words: list[str], make_plan: MakePlan) -> None:
    """Misspelled, it may be the key, the certificate or the list of hosts that the operator counts on."""
    with pytest.raises(Refused, match=f"{words[0]}: .*VLLM_SHIM_IGNORE_FLAGS"):
        make_plan("serve", "m", *words, env=WARN)
    made = make_plan("serve", "m", *words, env={"VLLM_SHIM_IGNORE_FLAGS": words[0]})
    assert any(warning.startswith(f"{words[0]} is NOT honoured") for warning in made.warnings)


@pytest.mark.parametrize(
    ("words", "env"),
    [(["--allowed-media-domains", "a.b"], {}), ([], {"VLLM_MAX_MEDIA_DOWNLOAD_SIZE_MB": "10"})],
)
def test_a_guard_that_sglang_lacks_is_never_waived(
    words: list[str], env: dict[str, str], make_plan: MakePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    vllm, sglang = catalogs()
    older = Catalog("sglang", "0.5.9", tuple(flag for flag in sglang.flags if flag.name not in draft.GUARDS))
    monkeypatch.setattr(draft, "catalogs", lambda: (vllm, older))
    with pytest.raises(Refused, match=r"SGLang 0\.5\.9 has no --"):
        make_plan("serve", "m", *words, env={**WARN, **env, "VLLM_SHIM_IGNORE_FLAGS": "--allowed-media-domains"})


@pytest.mark.parametrize(
    ("words", "env", "left"),
    [
        (
            ["--structured-outputs-config", '{"disable_any_whitespace":true,"reasoning_parser":"nosuch"}'],
            {},
            "--constrained-json-disable-any-whitespace",
        ),
        (["--guided-decoding-backend", "nosuch:disable-any-whitespace"], {}, "--constrained-json"),
        (["-sc", '{"method": "ngram", "num_speculative_tokens": 2}', "-pp", "2"], {}, "--speculative"),
    ],
)
def test_of_a_waived_flag_nothing_is_honoured(
    words: list[str], env: dict[str, str], left: str, make_plan: MakePlan
) -> None:
    made = make_plan("serve", "m", *words, env={**WARN, **env})
    assert not [word for word in made.engines[0].argv if word.startswith(left)]
    assert any("NOT honoured" in warning for warning in made.warnings)


def test_a_waived_refusal_keeps_what_an_earlier_flag_asked_for(make_plan: MakePlan) -> None:
    words = ["--guided-decoding-disable-any-whitespace", "true", "--structured-outputs-config"]
    config = '{"disable_any_whitespace":true,"reasoning_parser":"nosuch"}'
    made = make_plan("serve", "m", *words, config, env=WARN)
    assert "--constrained-json-disable-any-whitespace" in made.engines[0].argv


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["--middleware", "my.Auth"], id="a middleware, which may check who calls"),
        pytest.param(["--port", "99999"], id="an impossible value"),
        pytest.param(["--served-model-name", ""], id="an empty name"),
        pytest.param(["--admin-api-key", "x"], id="what holds the house together"),
    ],
)
def test_what_endangers_security_or_the_house_stays_refused(make_plan: MakePlan, words: list[str]) -> None:
    flag = words[0]
    with pytest.raises(Refused, match=flag):
        make_plan("serve", "m", *words, env={**WARN, "VLLM_SHIM_IGNORE_FLAGS": flag})


def test_an_unknown_flag_that_may_have_taken_the_model_is_never_ignored(make_plan: MakePlan) -> None:
    with pytest.raises(Refused, match="--no-such-flag"):
        make_plan("serve", "--no-such-flag", "m", env=WARN)
    with pytest.raises(Refused, match="--no-such-flag"):
        make_plan("serve", "--no-such-flag", "m", env={"VLLM_SHIM_IGNORE_FLAGS": "--no-such-flag"})
    env = {"VLLM_SHIM_IGNORE_FLAGS": "--no-such-flag"}
    assert make_plan("serve", "m", "--no-such-flag", "x", env=env).engines[0].model == "m"


@pytest.mark.parametrize(
    ("env", "message"),
    [({"VLLM_SHIM_UNSUPPORTED": "yes"}, "one of refuse, warn"), ({"VLLM_SHIM_IGNORE_FLAGS": "a"}, "'a' is no flag")],
)
def test_a_wrong_word_is_an_error(make_plan: MakePlan, env: dict[str, str], message: str) -> None:
    with pytest.raises(CommandLineError, match=message):
        make_plan("serve", "m", env=env)
