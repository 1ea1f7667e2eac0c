"""Walks the table: what was given becomes SGLang flags, settings of ours, and one decision each.

Precedence: our defaults, then translated vLLM flags, then SGLang's own flags on the command line, then
VLLM_SHIM_ENGINE_ARGS. What holds the house together cannot be overridden and is refused by name.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping

from shims import environment
from shims.catalog import CatalogFlag, catalogs
from shims.cli import CommandLine, Given, nearest
from shims.exceptions import CommandLineError, Refused
from shims.facts import Facts
from shims.flags import TABLE, defaults, waivers
from shims.flags.draft import Decision, Draft
from shims.flags.record import Action, Flag, Outcome, already, dropped, refused
from shims.redact import REDACTED, shown

TLS = "haproxy is the front door; SGLang listens on loopback, without TLS"
HOUSE = {
    "--host": "haproxy binds the address that --host names",
    "--port": "haproxy binds the port that --port names; VLLM_SHIM_SGLANG_PORT moves SGLang's",
    "--api-key": "the middleware checks keys: give --api-key to vllm serve",
    "--admin-api-key": "SGLang's admin routes are closed",
    "--served-model-name": "give --served-model-name to vllm serve",
    "--fastapi-root-path": "the path belongs to the front door",
    "--model-path": "give the model to vllm serve",
    "--ssl-keyfile": TLS,
    "--ssl-keyfile-password": TLS,
    "--ssl-certfile": TLS,
    "--ssl-ca-certs": TLS,
    "--enable-ssl-refresh": TLS,
    "--config": "write its flags out: a file could set what the house stands on",
}


def translate(command: CommandLine, env: Mapping[str, str], facts: Facts) -> Draft:
    """Raises Refused with every refusal at once, CommandLineError for settings that cannot be read."""
    draft = Draft(command, env, facts)
    waived = waivers.read(env)
    last = {(given.origin, given.name): given for given in command.given}
    outcomes: dict[tuple[str, str], Outcome] = {}
    if command.positional is not None:
        _positional(draft, command)
    for name, flag in TABLE.items():  # in the table's order: a composite rule may read what came before it
        if given := last.get(("vllm", name)):
            outcomes["vllm", name] = decide(draft, flag, given)
    for (origin, name), given in last.items():
        if origin == "sglang":
            outcomes[origin, name] = _pass(draft, name, given.texts)
        elif origin == "unknown":
            outcomes[origin, name] = _unknown(command, given)
        elif name not in TABLE:
            outcomes[origin, name] = refused("this flag of vLLM has no translation to SGLang here; leave it out")
    for key, given in last.items():
        outcome = waived.apply(draft, given.name, _still_true(draft, outcomes[key]))
        draft.decisions.append(_decision(given.spelled, "flag", _shown(given), outcome))
    environment.decide(draft, waived)
    defaults.complete(draft)
    _engine_args_variable(draft)
    refusals = [(d.name, d.note) for d in draft.decisions if d.action == "refuse"]
    refusals += _unwritable_values(draft)
    if refusals:
        raise Refused(refusals)
    return draft


def decide(draft: Draft, flag: Flag, given: Given) -> Outcome:
    known = catalogs()[0].by_spelling[flag.name]
    if given.value is None and known.arity != "optional":
        return already("None: as if it were not given")
    if flag.convert is not None:
        outcome = flag.convert(draft, given.value)
        if outcome.action in ("refuse", "drop") or not outcome.target:
            return outcome
        return Outcome(flag.action, outcome.target, "; ".join(filter(None, (outcome.note, flag.why))))
    if flag.action == "drop":
        return dropped(flag.why)
    if flag.action == "refuse" and _is_default(known, given.value):
        return already("vLLM's default, which asks for nothing")
    if flag.action == "refuse":
        return refused(flag.why, firm=flag.firm)
    if given.value is False:
        return already("off by default in SGLang")
    values = () if given.value is True else given.texts
    if known.type.startswith("human_int"):
        values = (str(given.value),)
    return draft.emit(flag.to, *values, note=flag.why, action=flag.action)


def _is_default(known: CatalogFlag, value: object) -> bool:
    """A switch is off by default unless the catalog says otherwise; `{}` and `[]` ask for nothing."""
    default = known.default if known.default is not None else False if known.arity == "switch" else None
    return bool(value == default or value in ({}, []))


def _still_true(draft: Draft, outcome: Outcome) -> Outcome:
    """A composite rule may have taken back what an earlier flag asked for: then its line says so."""
    translated = outcome.action in ("same", "rename", "convert") and outcome.target.startswith("--")
    if translated and outcome.target.split()[0] not in draft.engine_args:
        return dropped("another flag needs the opposite; see its line")
    return outcome


def _positional(draft: Draft, command: CommandLine) -> None:
    if not command.positional:
        why = "the model is empty: is a variable unset?"
        draft.decisions.append(Decision("model", "flag", command.positional, "refuse", "", why))
    elif command.entry == "api_server":
        note = "the api_server entry ignores a positional model, as in vLLM: use --model"
        draft.warnings.append(f"{command.positional}: {note}")
        draft.decisions.append(Decision("model", "flag", command.positional, "drop", "", note))
    else:
        target = f"--model-path {command.positional}"
        draft.decisions.append(Decision("model", "flag", command.positional, "rename", target, ""))


def _pass(draft: Draft, name: str, texts: tuple[str, ...], source: str = "") -> Outcome:
    """An SGLang flag by its own name: it beats our translation, with a line."""
    flag: CatalogFlag = catalogs()[1].by_spelling[name]
    if flag.name in HOUSE:
        return refused(HOUSE[flag.name], firm=True)
    outcome = draft.emit(flag.name, *map(_compact, texts), action="pass", note=source)
    before = [d for d in draft.decisions if d.kind == "flag" and flag.name in d.target.split()]
    replaced = [d.name for d in before if d.action not in ("pass", "refuse")]
    if replaced:
        draft.warnings.append(f"{name} is SGLang's own flag and wins over {', '.join(replaced)}")
    return outcome


def _unknown(command: CommandLine, given: Given) -> Outcome:
    close = nearest(given.name)
    hint = f"; did you mean {close}?" if close else ""
    # Ignored, it could take the model with it: nothing tells whether `--unknown word` has a value.
    no_model = bool(given.texts) and command.positional is None and command.last("--model") is None
    return refused(f"neither vLLM nor SGLang has this flag{hint}", firm=no_model)


def _unwritable_values(draft: Draft) -> Iterable[tuple[str, str]]:
    written = {
        "model": (draft.model,),
        "--served-model-name": tuple(name for name in draft.served_names if name != draft.model),
        **draft.engine_args,
    }
    yield from ((name, why) for name, values in written.items() for why in _unwritable(values))
    texts = [file.text for file in draft.files if file.text is not None]
    yield from (("--chat-template", "it is not UTF-8") for text in texts if not _is_unicode(text))


def _engine_args_variable(draft: Draft) -> None:
    """VLLM_SHIM_ENGINE_ARGS: extra SGLang flags, last."""
    name = "VLLM_SHIM_ENGINE_ARGS"
    try:
        tokens = shlex.split(draft.env.get(name, ""))
    except ValueError as error:
        raise CommandLineError(f"{name} cannot be split into arguments: {error}") from error
    for flag, texts in _grouped(tokens, name):
        known = flag in catalogs()[1].by_spelling
        if known:
            outcome = _pass(draft, flag, texts, source=f"from {name}")
        else:
            outcome = refused(f"SGLang {catalogs()[1].version} has no such flag ({name})")
        draft.decisions.append(_decision(flag, "flag", shown(flag, " ".join(texts)) or None, outcome))


def _grouped(tokens: list[str], name: str) -> Iterable[tuple[str, tuple[str, ...]]]:
    """`--a 1 2 --b=3 --c` to (--a, (1, 2)), (--b, (3,)), (--c, ())."""
    groups: list[tuple[str, list[str]]] = []
    for token in tokens:
        if token.startswith("--"):
            flag, equals, value = token.partition("=")
            groups.append((flag, [value] if equals else []))
        elif groups:
            groups[-1][1].append(token)
        else:
            raise CommandLineError(f"{name} must begin with a flag, not with '{token}'")
    return [(flag, tuple(values)) for flag, values in groups]


def _shown(given: Given) -> str | None:
    if not given.texts:
        return None
    record = TABLE.get(given.name)
    if record is not None and record.secret:
        return REDACTED
    return shown(given.name, shlex.join(given.texts) if len(given.texts) != 1 else given.texts[0])


def _decision(name: str, kind: str, value: str | None, outcome: Outcome) -> Decision:
    action: Action = outcome.action
    return Decision(name, kind, value, action, outcome.target, outcome.note)


def _compact(text: str) -> str:
    """A JSON value with newlines in it, on one line: supervisord's configuration has one line a value."""
    if "\n" not in text:
        return text
    try:
        return json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"))
    except ValueError:
        return text


def _unwritable(values: Iterable[str]) -> Iterable[str]:
    for value in values:
        if "\n" in value or "\r" in value or "\0" in value:
            yield f"its value {value!r:.60} holds a line break; write it on one line"
        elif not _is_unicode(value):
            yield f"its value {value!r:.60} is not UTF-8"


def _is_unicode(text: str) -> bool:
    """Bytes of the command line that are not UTF-8 come as lone surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in text)
