"""A Prometheus of ours scrapes, labels as the production stack's does, and leaves nothing behind."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.prometheus.scraper import STACK_LABELS, scraping
from tests.server import command_line, wait_for

TEXT = b'# HELP vllm:x_total things\n# TYPE vllm:x_total counter\nvllm:x_total{model_name="m",endpoint="its own"} 7\n'


class Exposed(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(TEXT)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


def test_a_series_gets_the_stacks_labels_and_prometheus_is_gone_afterwards(tmp_path: Path) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Exposed)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with scraping(f"http://127.0.0.1:{server.server_port}/metrics", tmp_path) as prometheus:
            (series,) = prometheus.query('vllm:x_total{model_name="m"}')
            assert series.value == 7
            assert STACK_LABELS.items() <= series.labels.items()
            assert series.labels["exported_endpoint"] == "its own"
            assert prometheus.query("no_such_series") == []
            wait_for(lambda: prometheus.query("count_over_time(vllm:x_total[1m])")[0].value > 1, "a second scrape")
            began = series.points[0][0]
            (over,) = prometheus.over("vllm:x_total", began - 10, began + 1)
            assert {value for _, value in over.points} == {7.0}
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    mine = [entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    assert not [pid for pid in mine if str(tmp_path) in command_line(int(pid))]
