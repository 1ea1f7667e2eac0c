"""Turns a Plan into files and nothing else, and is the preview command:

    python render_config.py [--out DIR] [--json] [--facts FILE] -- serve MODEL ...

writes the files to DIR, prints the report (or one JSON document), starts nothing, and needs no network and no model
files. Exit 0, or 2 with `vllm: error: ...`.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from shims import cli, facts, files, plan, report, settings
from shims.environment.families import MULTIPROC_DIR
from shims.exceptions import CommandLineError, ShimError, StartError
from shims.plan import Engine, Plan

# Enough for any GPU's batch many times over; a limit of a billion would cost supervisord and haproxy their start.
MAX_OPEN_FILES = 16384
HAPROXY_FILES = 200  # listeners, checks, logs
TLS_DIR = "tls"
HUB_PLACES = ("HOME", "XDG_CACHE_HOME", "HF_HOME")
VERIFY = {1: "optional", 2: "required"}  # by the numbers of Python's ssl module

UNWRITABLE = r"""[\r\n\0\ud800-\udfff]|\s[;#]|^['"]|['"]$|".*'|'.*\""""


def ini(value: object) -> str:
    """A bare value of supervisord.conf: `%` starts an expansion, ` ;` a comment."""
    text = str(value)
    # supervisor 4.3.0 expands stdout_logfile twice, so that no number of percent signs is right.
    if re.search(r"[%\r\n\0]|\s[;#]", text):
        raise StartError(
            f"{text!r} cannot be written to supervisord.conf: use a path without %, line breaks, ` ;` or ` #`"
        )
    return text


def ini_command(argv: Sequence[str]) -> str:
    """One `command=` line that supervisord splits into exactly these arguments.

    supervisor 4.3.0 cuts a value at a `;` or `#` behind any white space, even inside quotes, and replaces `%(here)s`
    even where the percent sign is doubled: the quote is closed and opened again in the middle of both.
    """
    if bad := [argument for argument in argv if re.search(r"[\r\n\0\ud800-\udfff]", argument)]:
        raise StartError(f"{bad[0]!r:.80} cannot be written to supervisord.conf: it holds a line break or is not UTF-8")
    line = " ".join(shlex.quote(argument) for argument in argv).replace("%", "%%")
    return re.sub(r"(\s)([;#])", r"\1''\2", line).replace("%(here)s", "%''(here)s")


def ini_environment(values: Mapping[str, str]) -> str:
    """One `environment=` line. supervisord has no escape inside the quotes, takes quotes of both kinds off the ends,
    and ends a value at a comment: a value with both kinds of quotes, or with one at its end, cannot be written."""
    bad = next((name for name, value in values.items() if re.search(UNWRITABLE, value)), None)
    if bad:
        raise StartError(f"the value of {bad} cannot be written to supervisord.conf: it holds quotes or a line break")
    pairs = ((name, value, "'" if '"' in value else '"') for name, value in values.items())
    return ",".join(f"{name}={quote}{value}{quote}" for name, value, quote in pairs).replace("%", "%%")


def engine_command(engine: Engine) -> str:
    unset = [part for name in engine.unset for part in ("-u", name)]
    return ini_command(("/usr/bin/env", *unset, *engine.argv) if unset else engine.argv)


def haproxy_word(value: object) -> str:
    """A word of haproxy.cfg in strong quotes, where nothing is expanded."""
    return "'" + str(value).replace("'", "'\\''") + "'"


def error_body(code: int, kind: str, message: str) -> str:
    """vLLM's error shape as one quoted word of haproxy.cfg."""
    error = {"message": message, "type": kind, "param": None, "code": code}
    return haproxy_word(json.dumps({"error": error}, separators=(",", ":")))


def render(chosen: Plan) -> dict[str, str]:
    """File name to text, for every file of the run directory. Undefined names fail."""
    found = chosen.facts
    templates = Environment(
        loader=FileSystemLoader([found.home, f"{found.home}/haproxy"]),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - no HTML: every value passes a filter that owns its quoting
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters.update(
        ini=ini,
        ini_command=ini_command,
        ini_environment=ini_environment,
        engine_command=engine_command,
        haproxy_word=haproxy_word,
    )
    templates.globals.update(error_body=error_body)
    open_files = min(found.open_files, MAX_OPEN_FILES)
    values = {
        "plan": chosen,
        "facts": found,
        "settings": chosen.settings,
        "run_dir": found.run_dir,
        "log_dir": found.log_dir,
        "umask": f"{found.umask:03o}",
        "open_files": open_files,
        "maxconn": (open_files - HAPROXY_FILES) // 2,
        "bind_addresses": bind_addresses(chosen),
        "bind_tls": bind_tls(chosen),
        "root_paths": tuple(dict.fromkeys(("", chosen.policy.root_path))),
        "middleware_command": middleware_command(chosen),
        # One process, no master: a master that has just started loses a USR1 (2.6.12), and the drain waits for nothing.
        "haproxy_command": haproxy_command(chosen),
        "engine_stop_seconds": engine_stop_seconds(chosen),
        "middleware_stop_seconds": settings.MIDDLEWARE_STOP_SECONDS,
    }
    names = ("supervisord.conf", "haproxy.cfg") if chosen.front_door else ("supervisord.conf",)
    texts = {name: templates.get_template(f"{name}.j2").render(values) for name in names}
    if chosen.front_door:
        # Bytes as they stand: HTTP's line ends are part of the file.
        texts["metrics-empty.http"] = (Path(found.home) / "haproxy/metrics-empty.http").read_bytes().decode("ascii")
        texts["policy.json"] = json.dumps(chosen.policy.to_json(), ensure_ascii=False, indent=1)
    texts.update({file.name: file.text for file in chosen.files if file.text is not None})
    return texts


def bind_addresses(chosen: Plan) -> list[str]:
    """vLLM without --host takes every address of both families, and `::` both as well; with --uds none."""
    if chosen.unix_socket:
        return [haproxy_word(f"unix@{chosen.unix_socket}")]
    if chosen.host in (None, "::"):
        return [f":::{chosen.ports.public} v4v6"] if chosen.facts.ipv6 else [f"0.0.0.0:{chosen.ports.public}"]
    return [f"{chosen.host}:{chosen.ports.public}"]


def bind_tls(chosen: Plan) -> str:
    """The rest of haproxy's `bind` line. HTTP/1.1 alone is offered, as by vLLM: haproxy 2.8 would offer HTTP/2 too."""
    tls, folder = chosen.tls, f"{chosen.facts.run_dir}/{TLS_DIR}"
    if not tls.certfile:
        return ""
    words = ["ssl", "crt", haproxy_word(f"{folder}/server.pem"), "alpn", "http/1.1"]
    if tls.ciphers:
        words += ["ciphers", haproxy_word(tls.ciphers)]
    if tls.cert_reqs:
        words += ["ca-file", haproxy_word(f"{folder}/ca.pem"), "verify", VERIFY[tls.cert_reqs]]
    return " " + " ".join(words)


def haproxy_command(chosen: Plan) -> tuple[str, ...]:
    haproxy = (chosen.facts.haproxy or "haproxy", "-db", "-f", f"{chosen.facts.run_dir}/haproxy.cfg")
    return (*_without((*plan.NOT_FOR_THE_ENGINE, *chosen.engine_only)), *haproxy)


def engine_stop_seconds(chosen: Plan) -> int:
    """SGLang 0.5.23: a worker rank ignores SIGTERM and ends when rank 0 does, which first drains. Killed before
    that, it would take the running requests of all ranks with it."""
    own = settings.ENGINE_STOP_SECONDS
    if chosen.front_door:
        return own
    return chosen.settings.lame_duck_seconds + chosen.settings.drain_seconds + settings.MIDDLEWARE_STOP_SECONDS + own


def middleware_command(chosen: Plan) -> tuple[str, ...]:
    engine = chosen.engines[0]
    return (
        *_without((*chosen.engine_only, *MULTIPROC_DIR)),
        # It reads the model's small files where the engine has put them.
        *(f"{name}={engine.env[name]}" for name in HUB_PLACES if name in engine.env),
        *(chosen.facts.python, "-I", "-X", "utf8", "-m", "middleware"),
        *("--port", str(chosen.ports.middleware), "--fd", "0"),
        *("--upstream", f"http://127.0.0.1:{engine.port}"),
        *("--ready-file", f"{chosen.facts.run_dir}/ready/{engine.name}"),
        *("--engine-log", f"{chosen.facts.log_dir}/{engine.name}.log"),
        *("--policy", f"{chosen.facts.run_dir}/policy.json"),
        *("--served-model-name", *chosen.models),
    )


def _without(names: Sequence[str]) -> tuple[str, ...]:
    """A program gets no more of the environment than it needs."""
    return ("/usr/bin/env", *(part for name in names for part in ("-u", name)))


def write(chosen: Plan, folder: Path) -> None:
    """The run directory: folders 0700, files 0600, so that no other user reads or replaces them. Or StartError."""
    try:
        for name in ("", "ready", "prometheus", *(f"prometheus/{engine.name}" for engine in chosen.engines)):
            (folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, text in render(chosen).items():
            _write_private(folder / name, text.encode())
        for file in chosen.files:
            if file.source is not None and files.is_there(file.source):
                _write_private(folder / file.name, files.read(file.source))
        _link_tls(chosen, folder / TLS_DIR)
    except (OSError, UnicodeEncodeError) as error:
        raise StartError(f"{getattr(error, 'filename', None) or folder}: {files.reason(error)}") from error


def _link_tls(chosen: Plan, folder: Path) -> None:
    """haproxy finds the key beside the certificate by its name. Links, so that no copy of a key is made, and a
    renewed file is seen."""
    shutil.rmtree(folder, ignore_errors=True)
    links = {"server.pem": chosen.tls.certfile, "server.pem.key": chosen.tls.keyfile, "ca.pem": chosen.tls.ca_certs}
    for name, target in links.items():
        if chosen.front_door and chosen.tls.certfile and target:
            folder.mkdir(mode=0o700, exist_ok=True)
            (folder / name).symlink_to(os.path.abspath(target))  # noqa: PTH100 - not what it links to today


def _write_private(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)  # a link put there by somebody else is replaced, not followed
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Show what a vLLM command line becomes. Starts nothing.")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write the rendered files there")
    parser.add_argument("--json", action="store_true", help="one JSON document in place of the report")
    parser.add_argument("--facts", metavar="FILE", help="take the machine's facts from this JSON file")
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="-- serve MODEL ...")
    options = parser.parse_args(argv)
    try:
        command = cli.from_words(options.command[1:] if options.command[:1] == ["--"] else options.command)
        found = facts.load(options.facts) if options.facts else facts.gather(command, os.environ)
        chosen = plan.make(command, os.environ, found)
        if options.out:
            shutil.rmtree(options.out / "ready", ignore_errors=True)
            write(chosen, options.out)
    except ShimError as error:
        print(f"vllm: error: {error}", file=sys.stderr)
        return CommandLineError.exit_code
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a variable's bytes may be no UTF-8
    print(json.dumps(chosen.to_json(), indent=2, ensure_ascii=False) if options.json else report.text(chosen), end="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
