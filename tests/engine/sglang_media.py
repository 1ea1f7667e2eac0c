"""Run by the engine's own Python, for `test_guards`: SGLang's loader of media asks for each URL under a list of allowed
domains. One JSON line a case, [domains, url]; each answer is what it read, or the words of its refusal.
"""

from __future__ import annotations

import contextlib
import json
import sys


def main() -> None:
    with contextlib.redirect_stdout(sys.stderr):
        from cpu_engine.launch import prepare

        prepare()
        from sglang.srt.utils.common import configure_media_url_security, download_remote_media

    for line in sys.stdin:
        domains, url = json.loads(line)
        configure_media_url_security(domains)
        try:
            told = download_remote_media(url, 20).decode()
        except ValueError as error:
            told = str(error)
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
