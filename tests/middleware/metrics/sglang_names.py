"""The metrics that SGLang's code makes, read off its syntax: names, types, and the labels that one has of its own. Run
it for a new version of SGLang; what it writes is what the tests know where no engine is installed:

    .venv/bin/python -m tests.middleware.metrics.sglang_names
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterator
from typing import Any

from tests.server import ROOT

SOURCE = ROOT / ".venv-engine/lib/python3.11/site-packages/sglang/srt"
KNOWN = ROOT / "tests/fixtures/sglang_metrics.json"
TYPES = {"Counter": "counter", "Gauge": "gauge", "Histogram": "histogram", "Summary": "summary"}
TYPES["GaugeHistogram"] = "gauge"  # SGLang's own: a gauge with the labels gt and le


def found() -> dict[str, dict[str, Any]]:
    names: dict[str, dict[str, Any]] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if '"sglang:' in text:
            names.update(_metrics(ast.parse(text)))
    return dict(sorted(names.items()))


def _metrics(tree: ast.Module) -> Iterator[tuple[str, dict[str, Any]]]:
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in TYPES:
            given = {word.arg: word.value for word in call.keywords}
            name = given.get("name", call.args[0] if call.args else None)
            if isinstance(name, ast.Constant) and str(name.value).startswith("sglang:"):
                labels = given.get("labelnames")
                texts = [one.value for one in ast.walk(labels) if isinstance(one, ast.Constant)] if labels else []
                yield str(name.value), {"type": TYPES[call.func.id], "labels": sorted(texts)}


def main() -> int:
    KNOWN.write_text(json.dumps(found(), indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
