"""Any way that vLLM lets a command line be written gives the Plan of its plain spelling; garbage gives a sentence."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from shims import cli, plan
from shims.catalog import CatalogFlag, catalogs
from shims.exceptions import CommandLineError, Refused, ShimError
from shims.facts import Facts
from tests.shims.flag_samples import every_sample

VLLM, SGLANG = catalogs()
SAMPLES = [words for words in every_sample() if words[0] != "--model"]
FLAG_NAMES = sorted({*VLLM.by_spelling, *SGLANG.by_spelling})


def essence(words: Sequence[str], env: Mapping[str, str] | None = None) -> Any:
    """What a command line comes to, without the words that were used to say it."""
    try:
        made = plan.make(cli.from_words(["serve", *words]), env or {}, Facts())
    except Refused as error:
        return sorted(reason for _, reason in error.refusals)
    except CommandLineError as error:
        raise AssertionError(f"{words}: {error}") from error
    engine = made.engines[0]
    argv = " ".join(engine.argv)
    outcomes = sorted((d.action, d.target, d.note) for d in made.decisions)
    return argv, engine.env, made.models, made.policy, made.tls, made.api_keys, made.host, made.ports, outcomes


def ways(words: tuple[str, ...]) -> list[str]:
    name, values, _ = _parts(words)
    flag = VLLM.by_spelling[name]
    found = ["plain", "short", *(("underscores", "prefix") if name.startswith("--") else ())]
    if len(values) == 1 and flag.arity != "switch":
        found.append("equals")
    if _document(values) and flag.type.startswith("json"):
        found.append("dotted")
    return found


def respelled(words: tuple[str, ...], way: str, choose: Callable[[Sequence[str]], str]) -> list[str]:
    """The same flag and values, written another way. Only the first flag of a sample of several is rewritten."""
    name, values, rest = _parts(words)
    flag = VLLM.by_spelling[name]
    if way == "short":
        same = flag.spellings if name in flag.spellings else flag.negations
        name = choose([spelling for spelling in same if VLLM.by_spelling[spelling] is flag])
    elif way == "underscores":
        name = "--" + name[2:].replace("-", "_")
    elif way == "prefix":
        name = _shortest_prefix(name)
    elif way == "equals":
        return [f"{name}={values[0]}", *rest]
    elif way == "dotted":
        return [*(word for path, value in _leaves(_document(values)) for word in (f"{name}.{path}", value)), *rest]
    return [name, *values, *rest]


@st.composite
def spelled(draw: st.DrawFn, words: tuple[str, ...]) -> list[str]:
    way = draw(st.sampled_from(ways(words)))
    return respelled(words, way, lambda choices: draw(st.sampled_from(choices)))


def _parts(words: tuple[str, ...]) -> tuple[str, list[str], list[str]]:
    """The flag, its own values, and what follows them."""
    name, *values = words
    following = next((i for i, value in enumerate(values) if value.startswith("--")), len(values))
    return name, values[:following], values[following:]


def _document(values: Sequence[str]) -> dict[str, Any]:
    try:
        document = json.loads(values[0]) if len(values) == 1 else {}
    except ValueError:
        return {}
    leaves = _leaves(document) if isinstance(document, dict) else []
    return document if all(all(path.split(".")) for path, _ in leaves) and leaves else {}


def _leaves(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for key, value in document.items():
        if isinstance(value, dict) and value:
            found += [(f"{key}.{path}", text) for path, text in _leaves(value)]
        else:
            found.append((key, json.dumps(value)))
    return found


def _shortest_prefix(name: str) -> str:
    others = [spelling for spelling in (*FLAG_NAMES, "--help") if spelling != name]
    for end in range(3, len(name)):
        prefix = name[:end]
        if not prefix.endswith("-") and not any(other.startswith(prefix) for other in others):
            return prefix
    return name


def takes_more(words: Sequence[str]) -> bool:
    """Whether a word that follows would be taken for another value."""
    flag: CatalogFlag = VLLM.by_spelling[next(word for word in reversed(words) if word in VLLM.by_spelling)]
    return flag.arity in ("many", "optional")


@st.composite
def two_spellings(draw: st.DrawFn) -> tuple[list[str], list[str]]:
    chosen = draw(
        st.lists(st.sampled_from(SAMPLES), min_size=1, max_size=6, unique_by=lambda w: VLLM.by_spelling[w[0]].name)
    )
    mentioned = [VLLM.by_spelling[word].name for words in chosen for word in words if word in VLLM.by_spelling]
    assume(len(mentioned) == len(set(mentioned)))
    plain = ["org/model", *(word for words in chosen for word in words)]
    order = draw(st.permutations(chosen))
    groups = [draw(spelled(words)) for words in order]
    places = [0, *(i + 1 for i, words in enumerate(order) if not takes_more(words))]
    place = draw(st.sampled_from(places))
    groups.insert(place, ["org/model"])
    return plain, [word for group in groups for word in group]


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(two_spellings())
def test_every_spelling_and_order_gives_the_same_plan(lines: tuple[list[str], list[str]]) -> None:
    plain, other = lines
    assert essence(other) == essence(plain)


WORDS = st.one_of(
    st.sampled_from(FLAG_NAMES),
    st.sampled_from(FLAG_NAMES).map(lambda name: name[: max(3, len(name) // 2)]),
    st.sampled_from(FLAG_NAMES).map(lambda name: name + ".a.b"),
    st.sampled_from(
        ["{}", "[]", "{", "null", "1", "-1", "0.5", "nan", "inf", "-inf", "1e400", "32K", "", " ", "-", "--"]
    ),
    st.sampled_from(
        ['{"a": null}', '[1, "x"]', '{"method": 1}', '{"backend": []}', '{"kv_connector": {}}', "a=b", "-O"]
    ),
    st.sampled_from(
        ["9" * 30, "0", "true", "None", "-O", "--", "--config=x.yaml", "-O3", "é\ud800", "a\nb", "tcp://x"]
    ),
    st.text(max_size=8),
)


def refused_in_a_sentence(words: Sequence[str]) -> bool:
    """Raises whatever is no error of ours."""
    try:
        plan.make(cli.from_words(["serve", "org/model", *words]), {}, Facts())
    except ShimError as error:
        return bool(str(error)) and error.exit_code in (1, 2)
    return True


@settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(WORDS, max_size=6))
def test_garbage_is_a_plan_or_one_sentence(words: list[str]) -> None:
    assert refused_in_a_sentence(words)


@settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(FLAG_NAMES), st.lists(WORDS, max_size=2))
def test_any_flag_with_any_value_is_a_plan_or_one_sentence(name: str, values: list[str]) -> None:
    assert refused_in_a_sentence([name, *values])
