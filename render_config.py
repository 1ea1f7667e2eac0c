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
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from shims import facts, files, programs, quoting, report, settings, start
from shims.exceptions import CommandLineError, ShimError, StartError
from shims.models import reload
from shims.plan import Plan

# Enough for any GPU's batch many times over; a limit of a billion would cost supervisord and haproxy their start.
MAX_OPEN_FILES = 16384
HAPROXY_FILES = 200  # listeners, checks, logs


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
        ini=quoting.ini,
        ini_command=quoting.ini_command,
        ini_environment=quoting.ini_environment,
        engine_command=programs.engine_command,
        haproxy_word=quoting.haproxy_word,
    )
    templates.globals.update(error_body=quoting.error_body)
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
        "bind_addresses": programs.bind_addresses(chosen),
        "bind_tls": programs.bind_tls(chosen),
        "root_paths": tuple(dict.fromkeys(("", chosen.policy.root_path))),
        "middleware_command": programs.middleware_command(chosen),
        # One process, no master: a master that has just started loses a USR1 (2.6.12), and the drain waits for nothing.
        "haproxy_command": programs.haproxy_command(chosen),
        "engine_stop_seconds": programs.engine_stop_seconds(chosen),
        "middleware_stop_seconds": settings.MIDDLEWARE_STOP_SECONDS,
    }
    names = ("supervisord.conf", "haproxy.cfg") if chosen.front_door else ("supervisord.conf",)
    texts = {name: templates.get_template(f"{name}.j2").render(values) for name in names}
    texts["plan.json"] = chosen.record()
    if chosen.front_door:
        # Bytes as they stand: HTTP's line ends are part of the file.
        texts["metrics-empty.http"] = (Path(found.home) / "haproxy/metrics-empty.http").read_bytes().decode("ascii")
        texts["policy.json"] = json.dumps(chosen.policy.to_json(), ensure_ascii=False, indent=1)
    if chosen.mux is not None:
        texts[programs.MODELS] = json.dumps(chosen.mux.to_json(), ensure_ascii=False, indent=1)
        texts[reload.WORDS] = reload.record(chosen)
        policies = {part.program: part.policy.to_json() for part in chosen.parts}
        texts |= {
            f"policy/{name}.json": json.dumps(one, ensure_ascii=False, indent=1) for name, one in policies.items()
        }
    texts.update({file.name: file.text for file in chosen.files if file.text is not None})
    return texts


def write(chosen: Plan, folder: Path) -> None:
    """The run directory: folders 0700, files 0600, so that no other user reads or replaces them. Or StartError."""
    _write(chosen, folder, render(chosen))
    try:
        (folder / "ready").mkdir(mode=0o700, exist_ok=True)
        _link_tls(chosen, folder / programs.TLS_DIR)
    except OSError as error:
        raise StartError(f"{error.filename or folder}: {files.reason(error)}") from error


def write_models(chosen: Plan, folder: Path) -> bool:
    """Of a server that runs: what belongs to its models, which are read again. The front door keeps what it has:
    whether it would get the same now. Or StartError."""
    texts = render(chosen)
    door = texts.pop("haproxy.cfg")
    _write(chosen, folder, texts)
    return (folder / "haproxy.cfg").read_text(encoding="utf-8") == door


def _write(chosen: Plan, folder: Path, texts: Mapping[str, str]) -> None:
    try:
        for name in ("", "prometheus", *(f"prometheus/{engine.name}" for engine in chosen.engines)):
            (folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write_private(folder / name, text.encode())
        for file in chosen.files:
            if file.source is not None and files.is_there(file.source):
                (folder / file.name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                _write_private(folder / file.name, files.read(file.source))
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
        words = options.command[1:] if options.command[:1] == ["--"] else options.command
        chosen = start.plan(words, os.environ, facts.load(options.facts) if options.facts else None)
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
