"""Stands in for `vllm serve` under `run.py`: prefixed lines, /health and one chat answer, and an end on request.
`test_run.py` tells it by FAKE_VLLM what to do: `ready`, `dies`, or `never` (neither).
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NoReturn

LOG = "[2026-11-21 10:43:29] "


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.answer(b"")

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        message = {"role": "assistant", "content": f"You asked:\n{asked['messages'][0]['content']}"}
        self.answer(json.dumps({**asked, "choices": [{"message": message}]}).encode())

    def answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the name it has there)
        return


def say(line: str) -> None:
    print(line, flush=True)


def stop(signum: int, _frame: object) -> NoReturn:
    say("[sglang] nanobind: leaked 518 functions!")
    say(f"[sglang] {LOG}the engine's own last line")
    say(f"[supervisor] stopped by {signal.Signals(signum).name}")
    os._exit(0)


def main() -> None:
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    say(f"arguments: {json.dumps(sys.argv[1:])}")
    say(f"engine: {os.environ['VLLM_SHIM_ENGINE']}")
    say(f"[sglang] {LOG}server_args={{'a': 1}}")
    say(f"[sglang] {LOG}Ignore import error when loading sglang.srt.models.grok")
    say("[haproxy] proxy started")
    what = os.environ["FAKE_VLLM"]
    if what == "dies":
        for number in range(60):
            say(f"[sglang] {LOG}line {number}")
        sys.exit(7)
    say(f"[sglang] {LOG}Load weight begin. avail mem=21.50 GB")
    if what == "ready":
        time.sleep(0.5)
        port = int(sys.argv[sys.argv.index("--port") + 1])
        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        time.sleep(1.5)
        say("[middleware] GET /v1/models 200")
    signal.pause()


if __name__ == "__main__":
    main()
