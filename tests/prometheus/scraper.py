"""A real Prometheus on loopback that scrapes one server every second and labels its series as the production stack's
ServiceMonitor does. Used by the tests of the dashboards and by `bench.picture`.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from tests.server import PATIENCE, ROOT, free_port, wait_for

FETCHED = ROOT / ".cache/prometheus"
SCRAPE_SECONDS = 1
# What Prometheus' operator adds to the series of the chart's engines; `job` is the name of the Service, of the stack's
# operator that of the VLLMRuntime.
STACK_LABELS = {
    "endpoint": "service-port",
    "namespace": "default",
    "pod": "vllm-model-deployment-vllm-0",
    "service": "vllm-model-engine-service",
    "container": "vllm",
}
JOB = "vllm-model-engine-service"


def program(name: str) -> str:
    """`prometheus` or `promtool`: the one on PATH, or what get_prometheus fetched."""
    found = shutil.which(name) or shutil.which(name, path=str(FETCHED))
    if found is None:
        raise FileNotFoundError(f"{name} is not installed: run `make prometheus`")
    return found


@dataclass(frozen=True)
class Series:
    """One line of an answer: its labels, and its values at their times (one, if the query was of one moment)."""

    labels: dict[str, str]
    points: list[tuple[float, float]]

    @property
    def value(self) -> float:
        return self.points[-1][1]

    @property
    def is_number(self) -> bool:
        return not math.isnan(self.value)


class Prometheus:
    def __init__(self, port: int) -> None:
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE, trust_env=False)

    def get(self, path: str, **params: object) -> Any:
        answer = self._client.get(path, params={name: str(value) for name, value in params.items()})
        document = answer.json()
        assert document["status"] == "success", f"{params}: {document}"
        return document["data"]

    def query(self, promql: str) -> list[Series]:
        """What it is now; nothing, where no series fits."""
        data = self.get("/api/v1/query", query=promql)
        assert data["resultType"] == "vector", f"{promql}: a {data['resultType']}"
        return [Series(one["metric"], _points([one["value"]])) for one in data["result"]]

    def over(self, promql: str, start: float, end: float, step: float = SCRAPE_SECONDS) -> list[Series]:
        data = self.get("/api/v1/query_range", query=promql, start=start, end=end, step=step)
        return [Series(one["metric"], _points(one["values"])) for one in data["result"]]

    def values_of(self, label: str) -> list[str]:
        """As a dashboard asks for the entries of a drop-down."""
        return list(self.get(f"/api/v1/label/{label}/values"))

    def listens(self) -> bool:
        with contextlib.suppress(httpx.TransportError):
            return self._client.get("/-/ready").status_code == 200
        return False

    def scraped(self) -> bool:
        return [one.value for one in self.query("up")] == [1.0]

    def close(self) -> None:
        self._client.close()


def _points(pairs: list[tuple[float, str]]) -> list[tuple[float, float]]:
    return [(at, float(value)) for at, value in pairs]


def configuration(url: str) -> dict[str, object]:
    target = urlsplit(url)
    return {
        "global": {"scrape_interval": f"{SCRAPE_SECONDS}s", "scrape_timeout": f"{SCRAPE_SECONDS}s"},
        "scrape_configs": [
            {
                "job_name": JOB,
                "metrics_path": target.path or "/metrics",
                "static_configs": [{"targets": [target.netloc], "labels": STACK_LABELS}],
            }
        ],
    }


@contextlib.contextmanager
def scraping(url: str, folder: Path) -> Iterator[Prometheus]:
    """One that has scraped `url` at least once; its data and its log are in `folder`, and it is gone afterwards."""
    config, log, port = folder / "prometheus.yml", folder / "prometheus.log", free_port()
    config.write_text(json.dumps(configuration(url)))  # YAML, too
    words = [program("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={folder / 'prometheus'}"]
    words += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]
    with log.open("wb") as output:
        running = subprocess.Popen(words, stdout=output, stderr=output, cwd=folder, env={"PATH": os.environ["PATH"]})
    prometheus = Prometheus(port)
    try:
        wait_for(lambda: running.poll() is not None or prometheus.listens(), "Prometheus to listen")
        assert running.poll() is None, log.read_text()
        wait_for(prometheus.scraped, f"the first scrape of {url}; its targets: {prometheus.get('/api/v1/targets')}")
        yield prometheus
    finally:
        prometheus.close()
        running.terminate()
        try:
            running.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()
