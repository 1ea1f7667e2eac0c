"""Run by the engine's own Python: what SGLang says of whole command lines beyond their grammar. Its resolution holds
its asserts about flags that exclude each other. In: one JSON object a line, `argv` and `env`; out: one JSON text a
line, empty where SGLang would go on to load the model.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys


def main() -> None:
    from cpu_engine.launch import prepare, with_defaults

    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        prepare()
        from sglang.srt.server_args import prepare_server_args
    before = dict(os.environ)
    for line in sys.stdin:
        case = json.loads(line)
        os.environ.update(case["env"])
        objection = ""
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            try:
                prepare_server_args(with_defaults(case["argv"])).resolve_once()
            except (Exception, SystemExit) as error:
                objection = f"{type(error).__name__}: {error}"
        print(json.dumps(objection), flush=True)
        os.environ.clear()
        os.environ.update(before)


if __name__ == "__main__":
    main()
