"""Walks the table: what was given becomes SGLang flags, settings of ours, and one decision each.

Precedence: our defaults, then translated vLLM flags, then SGLang's own flags on the command line, then
VLLM_SHIM_ENGINE_ARGS. What holds the house together cannot be overridden and is refused by name.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from functools import partial

from middleware.secrecy import REDACTED
from shims import environment
from shims.catalog import CatalogFlag, catalogs, nearest
from shims.cli import CommandLine, Given
from shims.exceptions import Refused
from shims.facts import Facts
from shims.flags import TABLE, defaults, model, passed, served, waivers
from shims.flags.draft import Decision, Draft
from shims.flags.record import Flag, Outcome, already, dropped, refused
from shims.redact import cleaned, shown


def translate(command: CommandLine, env: Mapping[str, str], facts: Facts) -> Draft:
    """Raises Refused with every refusal at once, CommandLineError for settings that cannot be read."""
    links = environment.service_links(env)
    draft = Draft(command, {name: value for name, value in env.items() if name not in links}, facts, links)
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
            outcomes[origin, name] = passed.pass_on(draft, given.spelled, given.texts)
        elif origin == "unknown":
            outcomes[origin, name] = _unknown(command, given)
        elif name not in TABLE:
            outcomes[origin, name] = refused("this flag of vLLM has no translation to SGLang here; leave it out")
    for key, given in last.items():
        outcome = waived.apply(draft, given.name, _still_true(draft, outcomes[key]))
        draft.decisions.append(_decision(given.spelled, "flag", _shown(given), outcome))
    environment.decide(draft, waived)
    defaults.complete(draft, waived)
    passed.engine_args(draft)
    served.complete(draft)
    refusals = [(d.name, cleaned(d.note)) for d in draft.decisions if d.action == "refuse"]
    refusals += _unwritable_values(draft)
    if refusals:
        raise Refused(refusals)
    return draft


def decide(draft: Draft, flag: Flag, given: Given) -> Outcome:
    known = catalogs()[0].by_spelling[flag.name]
    if given.value is None and known.arity != "optional":
        return already("None: as if it were not given")
    if flag.convert is not None:
        outcome = draft.attempt(partial(flag.convert, draft, given.value))
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
    name = cleaned(command.positional or "")
    if why := model.no_name(command.positional or ""):
        draft.decisions.append(Decision("model", "flag", name, "refuse", "", why))
    elif command.entry == "api_server":
        note = "the api_server entry ignores a positional model, as in vLLM: use --model"
        draft.warnings.append(f"{name}: {note}")
        draft.decisions.append(Decision("model", "flag", name, "drop", "", note))
    else:
        draft.decisions.append(Decision("model", "flag", name, "rename", f"--model-path {name}", ""))


def _unknown(command: CommandLine, given: Given) -> Outcome:
    close = nearest(given.name)
    hint = f"; did you mean {close}?" if close else ""
    # Ignored, it could take the model with it: nothing tells whether `--unknown word` has a value.
    no_model = bool(given.texts) and command.positional is None and command.last("--model") is None
    why = f"neither vLLM nor SGLang has this flag{hint}"
    return Outcome("refuse", note=why, firm=no_model, by_name=True)


def _unwritable_values(draft: Draft) -> Iterable[tuple[str, str]]:
    written = {
        "model": (draft.model,),
        "--served-model-name": tuple(name for name in draft.served_names if name != draft.model),
        **draft.engine_args,
    }
    yield from ((name, why) for name, values in written.items() for why in _unwritable(values))
    texts = [file.text for file in draft.files if file.text is not None]
    yield from (("--chat-template", "it is not UTF-8") for text in texts if not _is_unicode(text))


def _shown(given: Given) -> str | None:
    if not given.texts:
        return None
    record = TABLE.get(given.name)
    if record is not None and record.secret:
        return REDACTED
    texts = [shown(given.name, text) for text in given.texts]
    return shlex.join(texts) if len(texts) != 1 else texts[0]


def _decision(name: str, kind: str, value: str | None, outcome: Outcome) -> Decision:
    return Decision(name, kind, value, outcome.action, cleaned(outcome.target), cleaned(outcome.note))


def _unwritable(values: Iterable[str]) -> Iterable[str]:
    for value in values:
        if "\n" in value or "\r" in value or "\0" in value:
            yield f"its value {cleaned(value)!r:.60} holds a line break; write it on one line"
        elif not _is_unicode(value):
            yield f"its value {cleaned(value)!r:.60} is not UTF-8"


def _is_unicode(text: str) -> bool:
    """Bytes of the command line that are not UTF-8 come as lone surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in text)
