"""SGLang's own flags, on the command line or in VLLM_SHIM_ENGINE_ARGS: they beat our translation, as they were spelled.
`translate` calls it. What holds the house together is refused by name, and what SGLang's parser would die of too.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator
from typing import Any

from shims.catalog import CatalogFlag, catalogs
from shims.exceptions import CommandLineError
from shims.flags.draft import Decision, Draft
from shims.flags.record import Outcome, invalid, refused
from shims.redact import cleaned, shown
from shims.values import nested

ENGINE_ARGS = "VLLM_SHIM_ENGINE_ARGS"
TLS = "haproxy is the front door; SGLang listens on loopback, without TLS"
GRPC = "this image serves HTTP, through haproxy and the middleware; leave it out"
SIDECAR = "a second server beside SGLang would answer past the middleware; run it in a container of its own"
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
    "--grpc-mode": GRPC,
    "--smg-grpc-mode": GRPC,
    "--grpc-port": GRPC,
    "--smg-http-sidecar-port": GRPC,
    "--sidecar": SIDECAR,
    "--sidecar-args": SIDECAR,
    "--enable-http2": "the middleware speaks HTTP/1.1 to SGLang's own server; leave it out",
    "--encoder-only": "an encoder alone answers no request of vLLM's API: run the model whole",
    "--disaggregation-mode": "half of a prefill/decode split answers nobody by itself: run the model whole",
    "--decoupled-spec-role": "half of a speculative pair answers nobody: give --speculative-config to vllm serve",
    "--node-rank": "give --nnodes and --node-rank to vllm serve: a rank but the first has no front door",
    "--use-ray": "give --distributed-executor-backend ray to vllm serve",
}
# What SGLang 0.5.23 takes without its parser's knowing: another word is a traceback.
WORDS = {
    "--log-level": ("debug", "info", "warning", "error", "critical"),
    "--log-level-http": ("trace", "debug", "info", "warning", "error", "critical"),
}
READERS: dict[str, Callable[[str], Any]] = {"int": int, "human_int": int, "float": float, "json": nested.loads}
KINDS = {
    "int": "a whole number",
    "float": "a number",
    "human_int": "a number such as 4096, 32k or 32Ki",
    "json": "JSON",
}


def pass_on(draft: Draft, spelled: str, texts: tuple[str, ...], source: str = "") -> Outcome:
    """By its own name or a negation of it: `--no-x` says the opposite of `--x`."""
    flag = catalogs()[1].by_spelling[spelled]
    if flag.name in HOUSE:
        return refused(HOUSE[flag.name], firm=True)
    if why := _unfit(flag, texts):
        return invalid(why)
    name = spelled if spelled in flag.negations else flag.name
    outcome = draft.emit(name, *map(_compact, texts), action="pass", note=source)
    before = [d for d in draft.decisions if d.kind == "flag" and flag.name in d.target.split()]
    # From VLLM_SHIM_ENGINE_ARGS, after our own additions: their lines would say what is no longer so.
    draft.added = [line for line in draft.added if line[0].split()[0] != name]
    replaced = [d.name for d in before if d.action not in ("pass", "refuse")]
    if replaced:
        draft.warnings.append(f"{spelled} is SGLang's own flag and wins over {', '.join(replaced)}")
    return outcome


def engine_args(draft: Draft) -> None:
    """VLLM_SHIM_ENGINE_ARGS: extra SGLang flags, last."""
    sglang = catalogs()[1]
    for flag, texts in _grouped(draft.env.get(ENGINE_ARGS, "")):
        if flag in sglang.by_spelling:
            outcome = pass_on(draft, flag, texts, source=f"from {ENGINE_ARGS}")
        else:
            outcome = refused(f"SGLang {sglang.version} has no such flag ({ENGINE_ARGS})")
        value = shown(flag, " ".join(map(cleaned, texts))) or None
        draft.decisions.append(Decision(flag, "flag", value, outcome.action, outcome.target, outcome.note))


def _grouped(line: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """`--a 1 2 --b=3 --c` to (--a, (1, 2)), (--b, (3,)), (--c, ())."""
    try:
        tokens = shlex.split(line)
    except ValueError as error:
        raise CommandLineError(f"{ENGINE_ARGS} cannot be split into arguments: {error}") from error
    groups: list[tuple[str, list[str]]] = []
    for token in tokens:
        if token.startswith("--"):
            flag, equals, value = token.partition("=")
            groups.append((flag, [value] if equals else []))
        elif groups:
            groups[-1][1].append(token)
        else:
            raise CommandLineError(f"{ENGINE_ARGS} must begin with a flag, not with '{cleaned(token)}'")
    return ((flag, tuple(values)) for flag, values in groups)


def _unfit(flag: CatalogFlag, texts: tuple[str, ...]) -> str:
    """Why SGLang's parser would not take these values; its choices are `emit`'s to check."""
    count = len(texts)
    wrong = {"switch": count > 0, "many": count == 0, "optional": count > 1}.get(flag.arity, count != 1)
    if wrong:
        takes = {"switch": "no value", "many": "at least one value", "optional": "at most one value"}
        return f"SGLang's flag takes {takes.get(flag.arity, 'one value')}: {count or 'none'} given"
    words = WORDS.get(flag.name, ())
    if words and texts[0].lower() not in words:
        return f"{cleaned(texts[0])!r:.60} is none of {', '.join(words)}"
    bad = next((text for text in texts if not _is_typed(flag.type, text)), None)
    return "" if bad is None else f"{cleaned(bad)!r:.60} is not {KINDS[flag.type]}, which SGLang's flag takes"


def _is_typed(kind: str, text: str) -> bool:
    """As SGLang 0.5.23 reads it; its sizes are not written as vLLM's."""
    if kind == "human_int" and re.fullmatch(r"\s*(\d+(\.\d+)?[kMGT]|\d+[KMGT]i)\s*", text, re.ASCII):
        return True
    try:
        READERS.get(kind, str)(text)
    except ValueError:
        return False
    return True


def _compact(text: str) -> str:
    """A JSON value with newlines in it, on one line: supervisord's configuration has one line a value."""
    if "\n" not in text:
        return text
    try:
        return json.dumps(nested.loads(text), ensure_ascii=False, separators=(",", ":"))
    except ValueError:
        return text
